"""The one error that a user can cause and mend."""


class UsageError(ValueError):
    """Wrong usage, configuration or data: one line that names the thing and says what to do. Exit code 2."""
