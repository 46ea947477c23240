"""A change feed: records in the order of their last change, each sent once, in its newest version."""

import copy
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.responses import Response

from sandbox.axerrio.problems import Problem, missing
from sandbox.wire import Answer, Json


@dataclass
class Record:
    """One record of a feed."""

    key: str
    record: Json
    sequence: int = 0
    version: int = 0
    deleted: bool = False
    raw: bool = False

    def shown(self) -> Json:
        """The record as the feed sends it."""
        return self.record


R = TypeVar("R", bound=Record)


class Feed(Generic[R]):
    """The records of one kind; `key_name` is the field that tells one from another."""

    def __init__(self, make: Callable[[str, Json], R], key_name: str = "key", *, versioned: bool = True) -> None:
        self.records: dict[str, R] = {}
        self.maximum_sequence = 0
        self.key_name = key_name
        self._make = make
        self._versioned = versioned
        self._sequences: list[int] = []  # ascending; of a changed record the old place stays as a gap
        self._at: dict[int, R] = {}

    def key_of(self, change: Json) -> str:
        """The key that a change names.

        Raises:
            ValueError: it names none.
        """
        key = change.get(self.key_name)
        if not isinstance(key, str) or not key:
            raise ValueError(f"{self.key_name} is needed, a text")
        return key

    def before(self, key: str) -> Json:
        """The content that a change of this record starts from."""
        record = self.records.get(key)
        return {} if record is None or record.deleted or record.raw else record.record

    def save(self, content: Json) -> R:
        """Store a record whole; it gets the next version and moves to the end, unless it names later ones itself.

        Raises:
            ValueError: it names no key.
        """
        key = self.key_of(content)
        record = self.records.setdefault(key, self._make(key, {}))
        record.version = int(content.get("version", record.version + 1))
        record.deleted = record.raw = False
        self._move(record, content.get("sequence"))
        record.record = copy.deepcopy(content) | {"sequence": record.sequence}
        if self._versioned:
            record.record["version"] = record.version
        return record

    def change(self, changes: Json, defaults: Json) -> R:
        """Create a record, or change the fields given.

        Raises:
            ValueError: no key is named.
        """
        before = {name: value for name, value in self.before(self.key_of(changes)).items() if name not in _PLACE}
        return self.save({"isDeleted": False} | defaults | before | changes)

    def save_raw(self, record: Json) -> R:
        """Put a record in as it is; only a sequence is added where it names none."""
        key = record.get(self.key_name)
        key = key if isinstance(key, str) and key else f"raw-{self.maximum_sequence + 1}"
        saved = self.records.setdefault(key, self._make(key, {}))
        saved.raw, saved.deleted = True, False
        given = record.get("sequence")
        self._move(saved, given if isinstance(given, int) else None)
        saved.record = {"sequence": saved.sequence} | copy.deepcopy(record)
        return saved

    def delete(self, key: str) -> R:
        """Turn a record into a tombstone, which names neither version nor content.

        Raises:
            KeyError: there is no such record.
        """
        record = self.records[key]
        record.deleted = True
        self._move(record, None)
        record.record = {self.key_name: key, "sequence": record.sequence, "isDeleted": True}
        return record

    def find(self, key: str, what: str) -> R:
        """A record that is there, for an answer.

        Raises:
            Problem: there is none, or it was deleted.
        """
        record = self.records.get(key)
        if record is None:
            raise missing(f"{what} {key}")
        if record.deleted:
            raise Problem(410, "deleted", f"{what} {key} was deleted")
        return record

    def answer(self, sequence: str, limit: str) -> Response:
        """One page for a client."""
        if not sequence.isascii() or not sequence.isdecimal():
            raise Problem(400, "validation", "The sequence must be a number of 0 or more")
        if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit) <= 1000:
            raise Problem(400, "validation", "The limit must be a number from 1 to 1000")
        page = self.page(int(sequence), int(limit))
        return Answer({"maximumSequence": self.maximum_sequence, "results": page})

    def page(self, after: int, limit: int) -> list[Json]:
        """The records whose sequence is greater, ascending, in their newest version."""
        found: list[Json] = []
        for position in range(bisect_right(self._sequences, after), len(self._sequences)):
            if record := self._at.get(self._sequences[position]):
                found.append(record.shown())
                if len(found) == limit:
                    break
        return found

    def _move(self, record: R, wanted: int | None) -> None:
        """Give the record its place at the end of the feed; a wanted sequence counts when it is higher."""
        self._at.pop(record.sequence, None)
        self.maximum_sequence = max(self.maximum_sequence + 1, wanted or 0)
        record.sequence = self.maximum_sequence
        self._sequences.append(record.sequence)
        self._at[record.sequence] = record


_PLACE = ("version", "sequence")
