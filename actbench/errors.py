"""The one error that a user can cause and mend, and errors told in one line."""

import difflib
import sys
from collections.abc import Sequence


class UsageError(ValueError):
    """Wrong usage, configuration or data: one line that names the thing and says what to do. Exit code 2."""


def print_error(error: UsageError) -> None:
    """One line on stderr, whatever the message holds."""
    print(f"actbench: error: {' '.join(str(error).split())}", file=sys.stderr)


def one_line(error: BaseException) -> str:
    """Type and first line of any exception's message."""
    try:
        text = str(error).strip().splitlines()
    except Exception:  # a user's exception class may fail at that too
        text = []
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def nearest_names(name: str, options: Sequence[str]) -> str:
    """What may have been meant, as the end of a message."""
    found = difflib.get_close_matches(name, options, n=4, cutoff=0.5)
    if found:
        return f"; near: {', '.join(found)}"
    return f"; there are: {', '.join(options)}" if len(options) <= 40 else "; --cfg job prints every key"
