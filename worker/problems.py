"""What a person can put right, said in one sentence instead of a traceback."""


class Problem(Exception):  # noqa: N818 - it is the user's, not an error of ours
    """A user's mistake or a missing service.

    Attributes:
        exit_code: what the command ends with: 1 failed, 2 wrong usage or configuration.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        """Take one plain sentence without secrets: what is wrong, where, and what to do."""
        super().__init__(message)
        self.exit_code = exit_code
