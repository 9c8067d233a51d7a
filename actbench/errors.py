"""The one error that a user can cause and mend, and errors told in one line."""

import sys


class UsageError(ValueError):
    """Wrong usage, configuration or data: one line that names the thing and says what to do. Exit code 2."""


def tell(error: UsageError) -> None:
    """One line on stderr, whatever the message holds."""
    print(f"actbench: error: {' '.join(str(error).split())}", file=sys.stderr)


def one_line(error: BaseException) -> str:
    """Type and first line of any exception's message."""
    try:
        text = str(error).strip().splitlines()
    except Exception:  # a user's exception class may fail at that too
        text = []
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
