"""The mark that a prebook of ours carries in its comments, so that it is known again without our own records."""

import re

_MARK = re.compile(r"\[\s*AX\s*:\s*([0-9A-HJKMNP-TV-Z]{10})\s*\]", re.IGNORECASE)

#: The mark of no order: a person gives it to a prebook that shall start none.
NOBODYS = "0000000000"


def marker(number: str, mark: str) -> str:
    """What a prebook of ours has at the end of its comments: the Axerrio number and our mark."""
    return f"Axerrio {number} [AX:{mark}]"


def read_mark(comments: str) -> str | None:
    """The last mark in the comments, in capitals. A person may have written after it, or changed its case."""
    found = _MARK.findall(comments)
    return found[-1].upper() if found else None
