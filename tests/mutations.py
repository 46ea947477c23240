"""Answers as no system should give them: a real one, changed so that its form is broken and not its truth.

A change that lies well (other boxes, another order's id, another text in place of a text, a field left out that need
not be there, a success told as a failure) is not among them: against those nothing can be proven.
"""

import json
from random import Random
from typing import Any

Place = tuple[Any, ...]

#: JSON texts, some of them no JSON. None can be taken for an id, a success, a failure or an empty list.
JUNK = (
    "{}",
    "[[]]",
    "[null]",
    '{"a": {"b": [1]}}',
    "1e999999",
    "-1e400",
    "1" * 40,
    "1e-40",
    "0." + "3" * 5000,
    "9" * 5000,
    "NaN",
    "-Infinity",
    "[" * 300 + "]" * 300,
    '{"a":' * 90 + "null" + "}" * 90,
    "nul",
    "",
    "'x'",
)
_MARK = "\ue000here\ue000"
#: No index takes it, and nothing makes it shorter.
LONG_TEXT = json.dumps("".join(map(chr, Random(1).choices(range(0x4E00, 0x9FFF), k=6000))))


def broken(content: bytes, random: Random) -> bytes:
    """A JSON document with one thing in it broken."""
    value = json.loads(content)
    match random.randrange(8):
        case 0 | 1 | 2:
            return _with(value, random.choice(places(value)), random.choice(JUNK)).encode()
        case 3:
            no_text = [place for place in places(value) if not isinstance(_at(value, place), str)]
            return _with(value, random.choice(no_text), LONG_TEXT).encode()
        case 4:
            return json.dumps(_without(value, random)).encode()
        case 5:
            return _with_twin(value, random).encode()
        case 6:
            return content[: random.randrange(len(content))]
        case _:
            return _sprinkled(content, random)


def places(value: Any) -> list[Place]:
    """The way to every value inside, itself included."""
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    else:
        inner = []
    return [()] + [(name, *rest) for name, each in inner for rest in places(each)]


def replaced(value: Any, place: Place, new: Any) -> Any:
    """A copy with another value in one place."""
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = replaced(copy[place[0]], place[1:], new)
    return copy


def _with(value: Any, place: Place, junk: str) -> str:
    return json.dumps(replaced(value, place, _MARK)).replace(json.dumps(_MARK), junk)


def _objects(value: Any) -> list[Place]:
    return [place for place in places(value) if isinstance(_at(value, place), dict) and _at(value, place)]


def _at(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value


def _without(value: Any, random: Random) -> Any:
    """One key of the whole is missing."""
    if not isinstance(value, dict) or not value:
        return value
    missing = random.choice(list(value))
    return {name: each for name, each in value.items() if name != missing}


def _sprinkled(content: bytes, random: Random) -> bytes:
    """Some bytes come between, so that it is no JSON any more."""
    while True:
        at = random.randrange(len(content) + 1)
        sprinkled = content[:at] + random.randbytes(random.randrange(1, 4)) + content[at:]
        try:
            json.loads(sprinkled)
        except ValueError:
            return sprinkled


def _with_twin(value: Any, random: Random) -> str:
    """One key comes twice, the second time with something else."""
    if not (found := _objects(value)):
        return json.dumps(value)
    place = random.choice(found)
    content = _at(value, place)
    name = random.choice(list(content))
    text = json.dumps(replaced(value, place, content | {_MARK: 0}))
    return text.replace(f"{json.dumps(_MARK)}: 0", f"{json.dumps(name)}: {random.choice(JUNK)}")
