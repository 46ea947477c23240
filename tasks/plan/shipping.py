"""What leaves: boxes go on air waybills in Komet, with the codes of Axerrio's labels.

A shipment's line is sent once its purchase order is approved, and never again before the boxes were read back; then
only what Komet left out of it. Later reprints change codes; a changed air waybill or a shipment that was withdrawn is
a person's matter, since a vendor's token cannot change one.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from clients.errors import RefusalKind
from models.canonical import Origin, Shipment, ShipmentLine, awb_digits
from models.states import Feed, HoldCode, Kind, OrderState, WriteState
from tasks.plan.facts import (
    LOOKS_FOR_ABSENCE,
    AwbPart,
    BoxChange,
    BoxFacts,
    Hold,
    LineFacts,
    Look,
    PlannedWrite,
    PurchaseOrderItemFacts,
    WriteFacts,
)
from tasks.plan.labels import Entry, LabelledBox, Labels, lot_of
from tasks.plan.questions import OURS, THEIRS, Questions, Step


class Shipping:
    """The steps of an order's lines from the purchase order on."""

    def __init__(self, ask: Questions) -> None:
        self.ask = ask
        self.s = ask.s

    def step(self, line: LineFacts, step: Step) -> Step:
        """Go on from a line that is ordered or approved: what of it has left, and what must be told to Komet."""
        entries = self.ask.entries(line)
        keys = {shipment.key for shipment, _ in entries}
        for kind in _OF_BOXES:
            write = self.ask.open(kind, line=line)
            if write is not None and step.state is not None:
                return self.ask.in_flight(line, write, step.state)
        items = line.covering
        labels = self.labels(line)
        foreign = self.foreign_boxes(line, items, labels)
        if foreign:
            by_hand = self._shipped_by_hand(line, foreign)
            if by_hand is not None:
                return self._held(step, by_hand)
        is_full = nothing_is_left_beside(foreign, items)
        if is_full and not line.boxes:
            return replace(step, state=OrderState.SHIPPED)
        for key in dict.fromkeys(box.shipment_key for box in line.boxes):
            if key not in keys:
                hold = self._withdrawn(line, key, entries, labels)
                if hold is not None:
                    return self._held(step, hold)
        stands = self.standing(line)
        notices: list[str] = []
        same = 0
        for shipment, entry in entries:
            boxes = [box for box in line.boxes if box.shipment_key == shipment.key]
            if boxes:
                hold = self.changed(line, shipment, entry, boxes, labels)
                if hold is not None:
                    return self._held(step, hold)
                if self.is_told(line, shipment, entry, labels):
                    continue
            if is_full:  # what is not ours went by hand
                continue
            if foreign:
                choice, hold = self._beside_boxes_by_hand(stands, shipment, entry, foreign)
                if hold is not None:
                    return self._held(step, hold)
                if choice == THEIRS:
                    same += entry.boxes
                    continue
            awaited = self.awaited(shipment)
            if awaited is not None:
                notices.append(awaited)
                continue
            if not self._verified(stands, items, labels):
                return self._unseen(stands, step)
            others = [each for other, each in entries if other.key != shipment.key]
            sent = self._send(stands, step, shipment, entry, labels, items, others)
            if sent is not None:
                return replace(sent, notices=tuple(notices))
        if same > len(foreign):
            words = f"Line {line.line_key}: {same} boxes left, and Komet shows {len(foreign)} that were shipped by hand"
            rest = self.ask.hold(HoldCode.NOT_VISIBLE, f"{words}: put the others on their air waybill there too.")
            return replace(self._held(step, rest), notices=tuple(notices))
        step = replace(step, notices=tuple(notices))
        if stands.boxes:
            return self._codes(stands, step, labels, items)
        # No shipment of Axerrio's is left to be told: none has any of it, or they are what a person shipped by hand.
        nothing_comes = (bool(foreign) and not notices) or not entries
        left = bool(foreign) or any(self.standing(other).boxes for other in self.s.lines)
        stays = nothing_comes and self.ask.has_left(line) and left
        return replace(step, state=OrderState.SHIPPED) if stays else step

    def is_over(self, line: LineFacts) -> bool:
        """All of the line that leaves has left, and Komet shows it."""
        line, items = self.standing(line), line.covering
        return bool(line.boxes) and self._verified(line, items, self.labels(line)) and self._all_left(line, items)

    def standing(self, line: LineFacts) -> LineFacts:
        """The line without boxes that a person took back in Komet, as he was asked to."""
        sent = self.ask.done(_OF_BOXES, line)
        is_new = sent is not None and not sent.shown and sent.looks < LOOKS_FOR_ABSENCE
        if is_new or not line.boxes:  # what Komet does not show yet was taken back by nobody
            return line
        shown, labels = _shown(line.covering), self.labels(line)
        entries = {shipment.key: (shipment, entry) for shipment, entry in self.ask.entries(line)}
        back: list[BoxFacts] = []
        for key in dict.fromkeys(box.shipment_key for box in line.boxes):
            boxes = [box for box in line.boxes if box.shipment_key == key]
            if key not in entries:
                back += boxes if self.ask.decided(line.line_key, withdrawn(key)) == THEIRS else ()
            elif self.changed(line, *entries[key], boxes, labels) is None:
                back += self._removed(entries[key][1], boxes, labels)
        back = [box for box in back if box.box_code not in shown]
        return replace(line, boxes=tuple(box for box in line.boxes if box not in back)) if back else line

    def awaited(self, shipment: Shipment) -> str | None:
        """Why nothing is told of a shipment yet, in words; None: it has its air waybill."""
        if not shipment.is_readable:
            return f"Shipment {shipment.key} has a newer version that cannot be read: it is awaited."
        if not shipment.awb.strip():
            return f"Shipment {shipment.key} has no air waybill yet: it is awaited."
        if shipment.is_temporary and not self.s.sends_temporary_awb:
            return f"Shipment {shipment.key} has a temporary air waybill: the real one is awaited."
        return None

    def untold(self, line: LineFacts) -> list[Entry]:
        """The line's part of each shipment of which Komet does not hold all, by our word or a person's hand."""
        items, labels = line.covering, self.labels(line)
        here = {labels.place(box.label_key) for box in line.boxes}
        foreign = self.foreign_boxes(line, items, labels)
        if nothing_is_left_beside(foreign, items):
            return []
        return [
            (shipment, entry)
            for shipment, entry in self.ask.entries(line)
            if not self.is_told(line, shipment, entry, labels)
            and not here.issuperset(labels.named(entry) or (None,))  # else they were told in another
            and not self._went_by_hand(line, shipment, entry, foreign)
        ]

    def labels(self, line: LineFacts) -> Labels:
        """Its labels."""
        return Labels(line.axerrio_line_key or "", self.s.labels, self.s.former_codes)

    # -- what is to leave ------------------------------------------------------------------------------------

    def _send(
        self,
        line: LineFacts,
        step: Step,
        shipment: Shipment,
        entry: ShipmentLine,
        labels: Labels,
        items: Sequence[PurchaseOrderItemFacts],
        others: Sequence[ShipmentLine],
    ) -> Step | None:
        """Put the shipment's boxes of the line on its air waybill, if everything for it is there; None: they are."""
        if not self.may_leave(items):
            return step
        if not self.s.labels_current:
            return replace(step, looks=(*step.looks, Look(Feed.LABELS, "", active=True)))
        boxes = labels.boxes(entry, others)
        where = f"Line {line.line_key}, shipment {shipment.key}"
        unread = labels.unread(entry, others) if boxes is None else None
        if unread is not None:
            return self._held(step, self.ask.hold(HoldCode.INVALID, f"{where}: {_unread(unread)}."))
        if boxes is None:
            known = sum(1 for label in self.s.labels if label.line_key == line.axerrio_line_key)
            return self._held(
                step,
                self.ask.hold(
                    HoldCode.INVALID,
                    f"{where}: its {entry.boxes} boxes cannot be told from Axerrio's {known} labels of the line: the "
                    "shipment must name as many codes as boxes, each of a label that is not void.",
                ),
            )
        if len(shipment.awb.strip()) > _LONGEST_AWB:
            words = f"{where}: air waybill {shipment.awb} is longer than {_LONGEST_AWB} characters."
            return self._held(step, self.ask.hold(HoldCode.INVALID, words))
        too_long = self._too_long(where, [box.box_code for box in boxes])
        if too_long is not None:
            return self._held(step, too_long)
        here = {labels.place(box.label_key) for box in boxes}
        left = [box for box in line.boxes if labels.place(box.label_key) in here]
        if len(left) == len(boxes):  # in a shipment that was withdrawn: this one says the same of them
            hold = self.changed(line, shipment, entry, left, labels)
            return self._held(step, hold) if hold is not None else None
        has_left = {labels.place(box.label_key) for box in left}
        shown = _shown(items)
        boxes = [box for box in boxes if labels.place(box.label_key) not in has_left and box.box_code not in shown]
        if not boxes:
            return None
        elsewhere = self._codes_elsewhere(line)
        taken = sorted(box.box_code for box in boxes if box.box_code in elsewhere)
        boxes = [box for box in boxes if box.box_code not in elsewhere]
        if not boxes:
            words = f"{where}: box code {taken[0]} is another line's already: print another label."
            return self._held(step, self.ask.hold(HoldCode.INVALID, words))
        free = self._free(line)
        room = sum(each.boxes for each in free)
        if len(boxes) > room:
            return self._held(
                step,
                self.ask.hold(
                    HoldCode.INVALID,
                    f"{where} carries {len(boxes)} boxes, and {room} of its purchase order have not left yet.",
                ),
            )
        parts = self._parts(line, shipment, boxes, free)
        return self._ask_for(line, step, PlannedWrite(Kind.AWB_ADD, (line.line_key,), awb=parts))

    def _too_long(self, where: str, codes: Sequence[str]) -> Hold | None:
        for code in codes:
            if len(code) > _LONGEST_CODE:
                words = f"{where}: box code {code} has more than {_LONGEST_CODE} characters: print another one."
                return self.ask.hold(HoldCode.INVALID, words)
        return None

    def _ask_for(self, line: LineFacts, step: Step, planned: PlannedWrite) -> Step:
        """The write, unless Komet refused the same before: then its boxes are read first, and too often is enough."""
        writes = self.ask.writes((planned.kind,), line)
        refused = self.ask.refusals(writes)
        if refused and not refused[-1].is_looked_at:
            return self._read_back(line, step)
        same = [write for write in refused if _planned(planned) <= _sent(write, line)]
        # A call for several orders that was refused whole says nothing of this one: alone it will tell.
        together = [write for write in same if write.is_shared and not write.acknowledged]
        told = [write for write in same if write not in together or write.refusal is RefusalKind.RIGHT]
        hold = self.ask.refusal_hold(told, f"line {line.line_key}")
        if hold is not None:
            return self._held(step, hold)
        return replace(step, needs=(replace(planned, alone=bool(together)),))

    def may_leave(self, items: Sequence[PurchaseOrderItemFacts]) -> bool:
        """Komet takes air waybills for what is approved; of an order born there also while it is pending."""
        waits = [each for each in items if each.status is None or not each.status.is_approved]
        if not items:
            return False
        return not waits or (self.s.origin is Origin.KOMET and self.s.awb_while_pending)

    def _parts(
        self,
        line: LineFacts,
        shipment: Shipment,
        boxes: Sequence[LabelledBox],
        free: Sequence[PurchaseOrderItemFacts],
    ) -> tuple[AwbPart, ...]:
        """Fill the items in their order."""
        rest, parts = list(boxes), []
        lot = lot_of(line.axerrio_line_key or "", self.s.labels)
        for item in free:
            part, rest = rest[: item.boxes], rest[item.boxes :]
            if part:
                parts.append(
                    AwbPart(
                        line_id=line.line_id,
                        shipment_key=shipment.key,
                        item_id=item.item_id,
                        ship_date_of_order=item.ship_date or line.ship_date,
                        box_codes=tuple(box.box_code for box in part),
                        label_keys=tuple(box.label_key for box in part),
                        awb=awb_digits(shipment.awb),
                        lot_number=lot,
                    )
                )
        return tuple(parts)

    # -- what has left ---------------------------------------------------------------------------------------

    def _codes(self, line: LineFacts, step: Step, labels: Labels, items: Sequence[PurchaseOrderItemFacts]) -> Step:
        """Every box that left carries its label's code in Komet, or must get it."""
        changes, shown = [], _shown(items)
        for box in line.boxes:
            code = labels.code_of(box.label_key)
            if code is None:
                is_void = f"the label of box {box.box_code} is void and has no successor in Axerrio"
                words = _unread(box.box_code) if labels.is_unread(box.label_key) else is_void
                words = f"Line {line.line_key}: {words}, but the box has left with it."
                return self._held(step, self.ask.hold(HoldCode.INVALID, words))
            if code != box.box_code and code not in shown:
                changes.append(BoxChange(line.line_id, box.box_code, code, self._ship_date(line)))
        if not self._verified(line, items, labels):
            return self._unseen(line, step)
        too_long = self._too_long(f"Line {line.line_key}", [change.new for change in changes])
        if too_long is not None:
            return self._held(step, too_long)
        if changes:
            planned = PlannedWrite(Kind.BOX_CODE_CHANGE, (line.line_key,), boxes=tuple(changes))
            return self._ask_for(line, step, planned)
        if step.state is not None and self._all_left(line, items):
            return replace(step, state=OrderState.SHIPPED)
        return step

    def _all_left(self, line: LineFacts, items: Sequence[PurchaseOrderItemFacts]) -> bool:
        """All its boxes, or as many as Axerrio says that will ever leave, and none waits for its air waybill."""
        if any(self.awaited(shipment) is not None for shipment, _ in self.untold(line)):
            return False
        by_hand = self.foreign_boxes(line, items, self.labels(line))
        return len(line.boxes) + len(by_hand) >= sum(each.boxes for each in items) or self.ask.has_left(line)

    def _verified(self, line: LineFacts, items: Sequence[PurchaseOrderItemFacts], labels: Labels) -> bool:
        """Komet shows every box of the line that it took; a person may have given it its label's new code by hand."""
        shown = _shown(items)
        return all(box.box_code in shown or labels.code_of(box.label_key) in shown for box in line.boxes)

    def _read_back(self, line: LineFacts, step: Step) -> Step:
        """The purchase orders are read before the next call."""
        return replace(step, looks=(self.ask.purchase_orders(self._ship_date(line), active=True),))

    def _unseen(self, line: LineFacts, step: Step) -> Step:
        """Komet does not show boxes that it took: it is looked at again, and a person at last."""
        done = self.ask.done(_OF_BOXES, line)
        if done is None or done.reads < LOOKS_FOR_ABSENCE:
            return self._read_back(line, step)
        awbs = ", ".join(dict.fromkeys(box.awb for box in line.boxes))
        hold = self.ask.hold(
            HoldCode.NOT_VISIBLE,
            f"Line {line.line_key}: Komet took its boxes on air waybill {awbs} and does not show their codes. "
            "Look at its purchase order in Komet.",
        )
        return replace(self._held(step, hold), looks=(self.ask.purchase_orders(self._ship_date(line), active=False),))

    def is_told(self, line: LineFacts, shipment: Shipment, entry: ShipmentLine, labels: Labels) -> bool:
        """Komet holds every box of the line that left in the shipment."""
        boxes = [box for box in line.boxes if box.shipment_key == shipment.key]
        return bool(boxes) and max(self._told(line, shipment, boxes, labels), entry.boxes) <= len(boxes)

    def _told(self, line: LineFacts, shipment: Shipment, boxes: Sequence[BoxFacts], labels: Labels) -> int:
        """How many boxes of the shipment Komet was told of: those that it took, and those that it left out last.

        Those that left in another shipment since are that one's.
        """
        places = {labels.place(box.label_key) for box in boxes}
        told = (w for w in self.ask.writes((Kind.AWB_ADD,), line) if w.acknowledged or w.state in _MAY_STAND)
        says = [write.sent.get(line.line_key, {}) for write in told]
        last = [each for each in says if each.get("shipment") == shipment.key][-1:]
        for item in (item for each in last for item in each["items"]):
            places |= {labels.place(key) for key in item.get("label_keys", ())}
        return len(places - _places_beside(line, shipment, labels))

    def changed(
        self, line: LineFacts, shipment: Shipment, entry: ShipmentLine, boxes: Sequence[BoxFacts], labels: Labels
    ) -> Hold | None:
        """The shipment says something else than what Komet was told; boxes may be scanned onto it one by one."""
        told = boxes[0]
        boxes_told = self._told(line, shipment, boxes, labels)
        beside = _places_beside(line, shipment, labels)
        removed = self._removed(entry, boxes, labels)
        gone = [box.box_code for box in removed if labels.place(box.label_key) not in beside]
        pairs = (
            ("air waybill", told.awb, shipment.awb, awb_digits(told.awb) == awb_digits(shipment.awb)),
            ("house air waybill", told.house_awb, shipment.house_awb, told.house_awb == shipment.house_awb.strip()),
            ("ship date", told.ship_date, shipment.ship_date, told.ship_date == shipment.ship_date),
            ("boxes", boxes_told, entry.boxes, boxes_told <= entry.boxes),
            ("box codes", ", ".join(gone), "others", boxes_told > entry.boxes or not gone),
        )
        changed = ", ".join(f"{name} {old} → {new}" for name, old, new, same in pairs if not same)
        if not changed:
            return None
        message = (
            f"Line {line.line_key}: Axerrio changed shipment {shipment.key} after it was told to Komet ({changed}). "
            "A vendor's token cannot change it: have it changed in Komet, then decide for theirs."
        )
        return self.ask.conflict(line.line_key, f"shipment {shipment.key}: {changed}", message, THEIRS)

    def _removed(self, entry: ShipmentLine, boxes: Sequence[BoxFacts], labels: Labels) -> list[BoxFacts]:
        """Boxes that the shipment carried by what Komet was told, and that it names no more."""
        named = labels.named(entry)
        return [box for box in boxes if named is not None and labels.place(box.label_key) not in named]

    def _withdrawn(self, line: LineFacts, key: str, entries: Sequence[Entry], labels: Labels) -> Hold | None:
        """Boxes of a shipment that is no more must come back, but for those of which another says the same."""
        boxes = [box for box in line.boxes if box.shipment_key == key]
        gone = [box.box_code for box in boxes if not _is_said_again(box, entries, labels)]
        if not gone:
            return None
        what = "its boxes" if len(gone) == len(boxes) else f"its boxes {', '.join(gone)}"
        message = (
            f"Line {line.line_key}: Axerrio withdrew shipment {key} after {what} were told to Komet. "
            "A vendor's token cannot take them back: have it done in Komet, then decide for theirs."
        )
        return self.ask.conflict(line.line_key, withdrawn(key), message, THEIRS)

    def foreign_boxes(self, line: LineFacts, items: Sequence[PurchaseOrderItemFacts], labels: Labels) -> list[str]:
        """Codes that Komet shows and that we know nothing of; a person may have given ours its label's new code."""
        ours = {box.box_code for box in line.boxes} | self._codes_sent(line)
        ours |= {code for box in line.boxes if (code := labels.code_of(box.label_key)) is not None}
        return sorted(code for each in items for code in each.box_codes if code not in ours)

    def _shipped_by_hand(self, line: LineFacts, foreign: Sequence[str]) -> Hold | None:
        message = (
            f"Line {line.line_key}: Komet shows boxes that were not sent from here ({', '.join(foreign[:5])}): "
            "somebody shipped them by hand."
        )
        return self.ask.conflict(line.line_key, by_hand(foreign), message, THEIRS)

    def _went_by_hand(self, line: LineFacts, shipment: Shipment, entry: ShipmentLine, foreign: Sequence[str]) -> bool:
        """A person decided that the shipment's boxes are among those that were shipped by hand."""
        return bool(foreign) and self._beside_boxes_by_hand(line, shipment, entry, foreign)[0] == THEIRS

    def _beside_boxes_by_hand(
        self, line: LineFacts, shipment: Shipment, entry: ShipmentLine, foreign: Sequence[str]
    ) -> tuple[str | None, Hold | None]:
        """What a person decided on a shipment of a line of which some boxes were shipped by hand: is it those?

        That it is not holds for the boxes that are scanned onto it later, too.
        """
        key, beside = line.line_key, f" beside {by_hand(foreign)}"
        told = sum(box.shipment_key == shipment.key for box in line.boxes)
        fits = entry.boxes - told <= sum(each.boxes for each in self._free(line))
        start = f"shipment {shipment.key}, "
        fact = f"{start}{entry.boxes} boxes,{beside}"
        was_ours = any(
            choice == OURS and each.startswith(start) and each.endswith(beside)
            for each, choice in self.ask.decisions_on(key).items()
        )
        if was_ours and fits:
            return OURS, None
        choices = (OURS, THEIRS) if fits else (THEIRS,)
        ours = "Ours puts the shipment's on its air waybill too, theirs" if fits else "Theirs"
        message = (
            f"Line {key}: Axerrio ships {entry.boxes} boxes of it in {shipment.key}, and Komet shows boxes that were "
            f"shipped by hand ({', '.join(foreign[:5])}). {ours} says that those are among them."
        )
        return self.ask.decided(key, fact), self.ask.conflict(key, fact, message, *choices)

    def _codes_sent(self, line: LineFacts) -> set[str]:
        """Codes that any write of ours may have brought there."""
        sent = [
            says for write in self.ask.writes(_OF_BOXES, line) if (says := write.sent.get(line.line_key)) is not None
        ]
        added = {code for says in sent for item in says.get("items", ()) for code in item["box_codes"]}
        return added | {code for says in sent for change in says.get("changes", ()) for code in change}

    def _codes_elsewhere(self, line: LineFacts) -> set[str]:
        """Codes of other lines: Komet may take one twice, and nobody could tell them apart. The first line has it."""
        ids = [other.line_id for other in self.s.lines]
        before = self.s.lines[: ids.index(line.line_id)]
        of_order = {box.box_code for other in self.s.lines if other.line_id != line.line_id for box in other.boxes}
        of_order |= {code for other in before for code in self.labels(other).codes}
        return of_order | self.s.codes_elsewhere

    def _free(self, line: LineFacts) -> list[PurchaseOrderItemFacts]:
        """Purchase order items of the line whose boxes have not left."""
        return [each for each in line.covering if not each.box_codes and not self._carries(line, each)]

    def _carries(self, line: LineFacts, item: PurchaseOrderItemFacts) -> bool:
        return any(box.purchase_order_item_id == item.item_id for box in line.boxes)

    def _ship_date(self, line: LineFacts) -> date:
        """Where its purchase order is found."""
        dates = [each.ship_date for each in line.covering if each.ship_date is not None]
        return dates[0] if dates else line.ship_date or self.s.wanted.truck_date

    def _held(self, step: Step, hold: Hold) -> Step:
        return replace(step, hold=hold)


def nothing_is_left_beside(foreign: Sequence[str], items: Sequence[PurchaseOrderItemFacts]) -> bool:
    """Some boxes were shipped by hand, and all others have left too."""
    return bool(foreign) and all(each.box_codes for each in items)


def withdrawn(key: str) -> str:
    """The fact that Axerrio withdrew a shipment of which boxes were told."""
    return f"shipment {key} withdrawn"


def _unread(box: str) -> str:
    """Why nobody can tell which code a box has."""
    return f"Axerrio's newest label of box {box} cannot be read (`axkomet status` names it)"


def _places_beside(line: LineFacts, shipment: Shipment, labels: Labels) -> set[int | str]:
    """Of which boxes of the line another shipment was told; one that has a new code may stand here with its old one."""
    return {labels.place(box.label_key) for box in line.boxes if box.shipment_key != shipment.key}


def _is_said_again(box: BoxFacts, entries: Sequence[Entry], labels: Labels) -> bool:
    """One of these shipments carries the box as Komet was told: on the same air waybills and ship date."""
    told = (awb_digits(box.awb), box.house_awb, box.ship_date)
    return any(
        told == (awb_digits(shipment.awb), shipment.house_awb.strip(), shipment.ship_date)
        and labels.place(box.label_key) in (labels.named(entry) or ())
        for shipment, entry in entries
    )


def by_hand(codes: Sequence[str]) -> str:
    """The fact that Komet shows boxes that were not sent from here."""
    return f"boxes by hand: {', '.join(codes)}"


def _shown(items: Sequence[PurchaseOrderItemFacts]) -> set[str]:
    return {code for each in items for code in each.box_codes}


def _planned(planned: PlannedWrite) -> set[tuple[str, str]]:
    """What a write would say of each box: the code that it shall have, and its air waybill or the code that it has."""
    return {(code, part.awb) for part in planned.awb for code in part.box_codes} | {
        (change.new, change.current) for change in planned.boxes
    }


def _sent(write: WriteFacts, line: LineFacts) -> set[tuple[str, str]]:
    """The same of a write that was sent."""
    says = write.sent.get(line.line_key, {})
    awb = awb_digits(says.get("awb", ""))
    return {(code, awb) for item in says.get("items", ()) for code in item["box_codes"]} | {
        (new, current) for current, new in says.get("changes", ())
    }


_OF_BOXES = (Kind.AWB_ADD, Kind.BOX_CODE_CHANGE)
#: Of a write in one of these, and of one that was answered, something may stand.
_MAY_STAND = (WriteState.SENT, WriteState.DONE)
_LONGEST_AWB, _LONGEST_CODE = 25, 20
