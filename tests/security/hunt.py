"""The hunt for a secret: its words, plain and in base64, in any text or bytes."""

import base64
import re
from collections.abc import Iterable

#: A word of a secret that no quoting changes, long enough to be found by nothing else.
_WORD = re.compile(r"[A-Za-z0-9]{8,}")


def traces(secret: str) -> list[bytes]:
    """What shows that a secret, or half of it, stands somewhere."""
    words = [word.encode() for word in _WORD.findall(secret)]
    assert words, "nothing of this secret can be hunted for"
    long = [word for word in words if len(word) >= 16]
    encoded = [
        base64.b64encode(b"\0" * shift + word)[(shift * 4 + 2) // 3 + 1 : -4] for word in long for shift in range(3)
    ]
    return [*words, *encoded]


def assert_absent(secrets: Iterable[str], places: Iterable[tuple[str, str | bytes]]) -> int:
    """None of the secrets stands in any of these places; gives how many places there were."""
    wanted = [trace for secret in secrets for trace in traces(secret)]
    number = 0
    for place, content in places:
        number += 1
        hay = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        for trace in wanted:
            at = hay.find(trace)
            assert at < 0, f"{place}: {hay[max(0, at - 300) : at + 100].decode(errors='replace')}"
    return number
