"""Which label belongs to which box of a shipment: pure rules over Axerrio's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.canonical import Label, LabelState, Shipment, ShipmentLine

#: A line's part of a shipment.
Entry = tuple[Shipment, ShipmentLine]


@dataclass(frozen=True)
class LabelledBox:
    """A box and the label that stands for it now."""

    label_key: str
    box_code: str


class Labels:
    """The labels of one line."""

    def __init__(self, line_key: str, labels: Sequence[Label], former_codes: Mapping[str, str]) -> None:
        of_line = [label for label in labels if label.line_key == line_key]
        self._index = {label.key: label.box_index for label in of_line}
        self._by_code = {label.box_code: label.key for label in of_line}
        self._former = {code: key for code, key in former_codes.items() if key in self._index}
        #: The newest label that is not void decides; labels come the oldest first.
        self._current = {
            label.box_index: label
            for label in of_line
            if label.state is not LabelState.VOID and (label.box_code or not label.is_readable)
        }

    @property
    def codes(self) -> tuple[str, ...]:
        """What is printed, by box index."""
        return tuple(code for index in sorted(self._current) if (code := self._current[index].box_code))

    def place(self, label_key: str) -> int | str:
        """Of which box of the line a label is; the label itself where that is not known any more."""
        return self._index.get(label_key, label_key)

    def code_of(self, label_key: str) -> str | None:
        """The code that its box has now; None where the label cannot be read, or is void and has no successor."""
        label = self._current.get(self._index.get(label_key, 0))
        return label.box_code if label and label.is_readable else None

    def is_unread(self, label_key: str) -> bool:
        """The newest label of its box cannot be read."""
        label = self._current.get(self._index.get(label_key, 0))
        return label is not None and not label.is_readable

    def unread(self, entry: ShipmentLine, others: Sequence[ShipmentLine]) -> str | None:
        """The code, as last read, of a box that may be in the shipment's line and whose newest label cannot be read."""
        may_be = self.named(entry) or set(self._current) - self._taken(others)
        labels = (label for index in sorted(may_be) if (label := self._current.get(index)) is not None)
        return next((label.box_code or label.key for label in labels if not label.is_readable), None)

    def named(self, entry: ShipmentLine) -> set[int] | None:
        """The boxes of the line that a shipment names, by index; None where one of them is not known by its name."""
        keys = entry.label_keys or [key for code in entry.box_codes if (key := self._named(code)) is not None]
        indexes = {self._index[key] for key in keys if key in self._index}
        return indexes if len(indexes) == entry.boxes else None

    def boxes(self, entry: ShipmentLine, others: Sequence[ShipmentLine]) -> list[LabelledBox] | None:
        """The boxes of a shipment's line with the labels that stand for them now.

        Named labels count; else codes name them. Codes that no label has (a reprint came between) pair with the
        labels that no shipment of the line names, in order of their box index, when their numbers agree.

        Args:
            entry: the line of the shipment.
            others: the line's entries of other shipments.

        Returns:
            None where it cannot be told.
        """
        keys: list[str | None]
        if entry.label_keys:
            keys = [key if key in self._index else None for key in entry.label_keys]
        else:
            keys = [self._named(code) for code in entry.box_codes]
            taken = {self._index[key] for key in keys if key is not None} | self._taken(others)
            free = [self._current[index].key for index in sorted(self._current) if index not in taken]
            unnamed = keys.count(None) if entry.box_codes else entry.boxes
            if unnamed == len(free):
                spare = iter(free)
                keys = [key or next(spare) for key in keys] if entry.box_codes else [*free]
        found = [(key, self.code_of(key)) for key in keys if key is not None]
        boxes = [LabelledBox(key, code) for key, code in found if code is not None]
        complete = len(boxes) == len(keys) == entry.boxes and len({box.box_code for box in boxes}) == len(boxes)
        return boxes if complete else None

    def _named(self, code: str) -> str | None:
        return self._by_code.get(code) or self._former.get(code)

    def _taken(self, others: Sequence[ShipmentLine]) -> set[int]:
        named = [key for other in others for key in other.label_keys]
        named += [key for other in others for code in other.box_codes if (key := self._named(code)) is not None]
        return {self._index[key] for key in named if key in self._index}


def entry_of(shipment: Shipment, line_key: str) -> ShipmentLine | None:
    """A line's part of a shipment, whose lines are all of one order: of several rows, one; None: no box is in it."""
    rows = [each for each in shipment.lines if each.line_key == line_key]
    if not any(row.boxes for row in rows):
        return None
    return rows[0].model_copy(
        update={
            "boxes": sum(row.boxes for row in rows),
            "box_codes": tuple(code for row in rows for code in row.box_codes),
            "label_keys": tuple(key for row in rows for key in row.label_keys),
        }
    )


def lot_of(line_key: str, labels: Sequence[Label]) -> str:
    """The lot number of a line, where all its labels agree on one; else empty."""
    lots = {label.lot_number for label in labels if label.line_key == line_key and label.state is not LabelState.VOID}
    return lots.pop() if len(lots) == 1 else ""
