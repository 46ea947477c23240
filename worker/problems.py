"""What a command ends with, and what a person can put right, said in one sentence instead of a traceback."""

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """The exit codes of all commands."""

    says: str

    def __new__(cls, code: int, says: str) -> Self:
        """A code, and when a command ends with it."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.says = says
        return member

    DONE = 0, "Done. Of `check`, `status`, `today`, `reconcile`: all is well."
    FAILED = (
        1,
        "It failed, or was not wanted at the prompt. Of `check`, `status`, `today`, `reconcile`: not all is well.",
    )
    MISUSED = 2, "Wrong usage, or a wrong setting or connections file."
    NOTHING = 3, "Nothing matched, so nothing was done. A list without entries is no such case."
    PARTLY = 4, "Part of it was done; stderr says what was not, and why."
    INTERRUPTED = (
        130,
        "Interrupted by Ctrl-C. Of `up`, `worker`, `beat`, `flower`, `metrics`, `sandbox`, which run until it: 0.",
    )


class Problem(Exception):  # noqa: N818 - it is the user's, not an error of ours
    """A user's mistake or a missing service.

    Attributes:
        exit_code: what the command ends with.
    """

    def __init__(self, message: str, exit_code: int = Exit.MISUSED) -> None:
        """Take one plain sentence without secrets: what is wrong, where, and what to do."""
        super().__init__(message)
        self.exit_code = exit_code
