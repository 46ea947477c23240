"""The plan against a Komet that loses answers, lags, is late and refuses, and against people who change things.

Each machine is one order of either origin. Its steps are what happens in the trade, in any order; what must never
happen is asserted where it would (`books.Komet`) and after every step. At the end faults are off, and the order must
converge: Komet holds exactly what is wanted, or somebody is told why not and what to type.
"""

import contextlib
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clients.errors import RefusalKind
from models.canonical import Line, LineStatus, Order, OrderStatus, Origin, PurchaseOrderStatus
from models.states import HoldCode, Kind, OrderState, WriteState
from tasks.plan.facts import CREATES, KOMET_WRITES, Plan, PlannedWrite
from tests.tasks.books import Item, Komet, OrderItem, PurchaseOrder, Refusal
from tests.tasks.examples import (
    ROSE,
    SHIP_DATE,
    a_label,
    a_line,
    a_mixed_line,
    a_shipment,
    an_order,
    as_sent,
    left,
)
from tests.tasks.ledger import DEADLINE, Ledger, Row, Write

OURS, THEIRS = "ours", "theirs"
ROSE_60 = ROSE.model_copy(update={"code": "RFREE60"})
UNKNOWN = ROSE.model_copy(update={"code": "RNEW40"})
#: Rounds of acting and looking in which an order that nobody disturbs must come to rest.
ROUNDS = 40
#: Writes that one run makes at most: an order that asks for more without a look goes in circles.
RUN = 12

CHANGES = ("boxes", "cost", "product", "unknown", "date", "cancel", "reopen")
VERSIONS = (*CHANGES, "carrier", "add", "mixed", "remove", "withdraw", "confirm", "delete", "draft", "over", "back")
troubles = st.sampled_from(("lost before", "lost after", "late", "late", "refused", "unknown product", "crash"))
lags = st.sampled_from((0, 0, 0, 5, 30, 90))
lines_drawn = st.sampled_from((a_line, a_line, a_mixed_line))


class Sync(RuleBasedStateMachine):
    """One order, Komet, Axerrio, and people."""

    @initialize(
        origin=st.sampled_from((Origin.AXERRIO, Origin.AXERRIO, Origin.KOMET)),
        applies=st.booleans(),
        vanishes=st.booleans(),
        early=st.booleans(),
        is_earned=st.sampled_from((True, True, False)),
        make=lines_drawn,
        number=st.integers(1, 3),
    )
    def begin(
        self, origin: Origin, applies: bool, vanishes: bool, early: bool, is_earned: bool, make: Any, number: int
    ) -> None:
        self.komet = Komet(vanishes=vanishes, awb_while_pending=early and origin is Origin.KOMET)
        self.ledger = Ledger(origin, applies, self.komet.awb_while_pending)
        self.ledger.earned |= set(KOMET_WRITES) if is_earned else set()
        #: What Komet will do later, after it was given up.
        self.queue: list[Write] = []
        self.order = an_order((), origin=origin)
        self.former = [self.order]
        if origin is Origin.AXERRIO:
            made = [a_line(str(key)) for key in range(1, number)]
            self._want(self.order.model_copy(update={"lines": (*made, make(str(number)))}))
        else:
            prebook_id = None
            for _ in range(number):
                item = self.komet.add_by_hand(prebook_id, "ARM", as_sent(a_line("1")))
                prebook_id = next(iter(self.komet.now.prebooks))
                assert item.made_for is None
            self._remember()
            self._look("prebooks", 0)

    # -- small words -----------------------------------------------------------------------------------------

    @property
    def in_axerrio(self) -> bool:
        return self.ledger.origin is Origin.AXERRIO

    def _tick(self, seconds: int = 1) -> None:
        self.ledger.clock += seconds

    def _remember(self) -> None:
        self.komet.remember(self.ledger.clock)
        self._tick()

    def _want(self, order: Order, *, is_deleted: bool = False) -> None:
        self.order = order.model_copy(update={"version": self.order.version + 1})
        self.former.append(self.order)
        self._tick()
        self.ledger.want(self.order, is_deleted=is_deleted)

    def _look(self, what: str, lag: int) -> None:
        self._tick()
        books = self.komet.list(what, self.ledger.clock, lag)
        if what == "prebooks":
            self.ledger.look_at_prebooks(books)
        else:
            self.ledger.look_at_orders(books)

    def _items(self) -> list[Item]:
        """Items that hold boxes: of ours, or of a prebook that was born in Komet."""
        return [item for item in self.komet.now.items() if item.boxes and item.item_id in self.ledger.items]

    def _order_items(self) -> list[tuple[PurchaseOrder, OrderItem]]:
        return [(order, item) for order, item in self.komet.now.order_items() if item.boxes]

    # -- Axerrio ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.in_axerrio)
    @rule(
        what=st.sampled_from(VERSIONS),
        which=st.integers(0, 3),
        boxes=st.integers(1, 6),
    )
    def a_new_version_comes(self, what: str, which: int, boxes: int) -> None:
        lines = list(self.order.lines)
        status = self.order.status
        carrier = self.order.carrier_code
        at = which % len(lines) if lines else None
        changes: dict[str, dict[str, Any]] = {
            "boxes": {"boxes": boxes},
            "cost": {"unit_cost": f"0.3{boxes}"},
            "product": {"article": ROSE_60 if boxes % 2 else ROSE},
            "unknown": {"article": UNKNOWN},
            "date": {"departure_date": SHIP_DATE.replace(day=SHIP_DATE.day + boxes % 2)},
            "cancel": {"status": LineStatus.CANCELLED},
            "reopen": {"status": LineStatus.OPEN},
        }
        if what in changes and at is not None:
            lines[at] = Line.model_validate({**lines[at].model_dump(), **changes[what]})
        elif what in ("add", "mixed") and len(self.ledger.lines) < 5:
            key = str(len(self.ledger.lines) + 1)
            lines.append(a_line(key) if what == "add" else a_mixed_line(key))
        elif what == "remove" and at is not None:
            del lines[at]
        elif what == "carrier":
            carrier = "UPS" if boxes % 2 else "ARM"
        elif what == "back":
            self._want(self.former[which % len(self.former)])
            return
        status = {
            "withdraw": OrderStatus.CANCELLED,
            "confirm": OrderStatus.CONFIRMED,
            "draft": OrderStatus.DRAFT,
            "over": OrderStatus.SHIPPED if self.ledger.shipments else status,
        }.get(what, status)
        changed = {"lines": tuple(lines), "status": status, "carrier_code": carrier}
        self._want(self.order.model_copy(update=changed), is_deleted=what == "delete")

    @rule(which=st.integers(0, 4))
    def labels_are_printed(self, which: int) -> None:
        keys = [key for key in self.ledger.lines if self.ledger.axerrio_key(key) is not None]
        if not keys:
            return
        key = keys[which % len(keys)]
        line, line_key = self.ledger.lines[key], self.ledger.axerrio_key(key)
        there = {code for each in orders for code in each.codes}
        assert there == sent, f"line {key} left with other codes"


Sync.TestCase.settings = settings(max_examples=400, stateful_step_count=40, deadline=None, derandomize=True)
TestSync = Sync.TestCase
