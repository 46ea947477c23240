"""Orders that are broken once each: at which write, at which point and how; and the people who lead them on."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from models.states import HoldCode, Kind, OrderState
from tests.world import World
from worker.demo.books import Goods
from worker.demo.verdict import Expected, Verdict, judge

Json = dict[str, Any]
Script = Iterator[None]

LOST, SENT = "lost", "sent"
#: Points of the write protocol, in their order.
POINTS = {
    "planned": "before intent",
    "intended": "intent committed",
    SENT: "sent committed, not on the wire",
    LOST: "work done, answer lost",
    "answered": "answer read, not settled",
    "settled": "settling committed",
}
#: What a failpoint does, by the words for it.
WAYS = {"exception": "raise", "process exit": "exit", "kill -9": "kill"}

#: The answer comes so long after the work: later than the call may last, and than the process lives.
_SLOW_SECONDS = 3.0
_DIES_AFTER = 0.8
#: Nobody sees a prebook of Komet's sooner: its id is known only once it was made, and its failpoint is set meanwhile.
_UNSEEN_SECONDS = 2.0

#: Before these writes an order has come a part of its way, unbroken.
_LATER = (Kind.PURCHASE_ORDER_ITEM_DELETE, Kind.PREBOOK_ITEM_DELETE, Kind.BOX_CODE_CHANGE)
_NUMBERS = itertools.count(70_001)
_AIR_WAYBILLS = itertools.count(4_821_001)


@dataclass(frozen=True)
class Cell:
    """Which write breaks, where and how."""

    kind: Kind
    point: str
    way: str

    def __str__(self) -> str:
        return f"{self.kind}, {POINTS[self.point]}, {self.way}"

    @property
    def operation(self) -> tuple[str, str]:
        """The system and its operation, as the sandbox names them."""
        system, _, name = self.kind.partition(".")
        return system, name if system == "komet" else f"PUT {name}"


@dataclass
class Shop:
    """A connection with a Komet company and an Axerrio tenant of its own, and all that is sold there."""

    world: World
    cases: list["Case"] = field(default_factory=list)
    #: The part of the sandbox's dump that is this shop's.
    books: Json = field(default_factory=lambda: {"companies": [], "tenants": []})

    def __post_init__(self) -> None:
        self.world.in_axerrio("tenant-settings", print_labels=True)

    @cached_property
    def tokens(self) -> dict[str, str]:
        """By the variables that hold them: Komet's, Axerrio's."""
        name = self.world.name.replace("-", "_").upper()
        return {f"KOMET_TOKEN_{name}": self.world.komet_token, f"AXERRIO_TOKEN_{name}": self.world.axerrio_token}

    def entry(self) -> Json:
        """The connection's entry in a connections file; without the guard, since much is changed and cancelled."""
        entry = self.world.entry(change_guard=0)
        entry["komet"]["token_env"], entry["axerrio"]["token_env"] = self.tokens
        return entry

    def read(self, dump: Json) -> None:
        """See what stands in its company and its tenant."""
        world = self.world
        company = next(each for each in dump["companies"] if each["token_last4"] == world.komet_token[-4:])
        tenant = next(each for each in dump["tenants"] if each["token_last4"] == world.axerrio_token[-4:])
        self.books = {"companies": [company | {"company_code": world.komet_token}], "tenants": [tenant]}

    @property
    def company(self) -> Json:
        """What stands in its company."""
        (found,) = self.books["companies"]
        company: Json = found
        return company

    def judge(self) -> Verdict:
        """What became of all that was sold."""
        return judge(self.books, [case.expected for case in self.cases])

    def requests(self, operation: str) -> int:
        """How often Komet was asked this."""
        return int(self.company["requests"].get(operation, 0))

    def record(self, expected: Expected) -> Json:
        """An order as Axerrio has it."""
        (tenant,) = self.books["tenants"]
        name = f"komet-{expected.company_code}-{expected.key}"
        found: Json = next(
            each for each in tenant["orders"] if expected.key == each["key"] or name == each["external_id"]
        )
        return found


class Trap:
    """The fault of one cell, set for one order and for nobody else.

    An answer is lost by the sandbox, which knows no order: it strikes the first call of its kind in the shop. It
    either says nothing at all, or it waits until the process that asked is dead.
    """

    def __init__(self, cell: Cell, world: World, folder: Path) -> None:
        """Nothing is set yet; `folder` is where processes look for their failpoints."""
        self.cell = cell
        self._folder = folder
        self._file: Path | None = None
        self._is_set = False
        #: What the sandbox shall do, if anything.
        self.sandbox: Json | None = None
        if cell.point == LOST:
            system, operation = cell.operation
            token = world.komet_token if system == "komet" else world.axerrio_token
            fault = {"system": system, "method": operation, "token": token, "times": 1}
            kept = {"kind": "slow", "seconds": _SLOW_SECONDS} if self._dies else {"kind": "lost_answer"}
            self.sandbox = fault | kept

    @property
    def _dies(self) -> bool:
        return WAYS[self.cell.way] != "raise"

    def set(self, key: str) -> None:
        """Set it for the order that the ledger knows by this key."""
        self._is_set = True
        is_lost = self.cell.point == LOST
        if is_lost and not self._dies:
            return
        self._file = self._folder / f"{self.cell.kind}.{SENT if is_lost else self.cell.point}.{key}"
        draft = self._file.with_name(f"{self._file.name}.draft")
        draft.write_text(WAYS[self.cell.way] + f" {_DIES_AFTER}" * is_lost)
        draft.rename(self._file)

    def remove(self) -> None:
        """It shall strike nobody any more."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def has_struck(self, *, in_sandbox: bool) -> bool:
        """It did what it was set for, in the sandbox too where that has a part in it."""
        met = self._file is None or not self._file.exists()
        return self._is_set and met and (in_sandbox or self.sandbox is None)

    @property
    def victim(self) -> int | None:
        """The process that it ends, once it has struck; None: it ends none."""
        if self._file is None or not self._dies:
            return None
        (taken,) = self._folder.glob(f"{self._file.name}.taken.*")
        return int(taken.name.rpartition(".")[2])


class Case:
    """One order that goes all the way in both systems, and its fault."""

    def __init__(self, shop: Shop, trap: Trap | None) -> None:
        """Nothing is sold yet; without a trap it is broken nowhere."""
        self.shop = shop
        self.trap = trap
        #: All that comes before its fault is done.
        self.is_ready = False
        #: Its fault may be set now.
        self.has_turn = trap is None
        self.struck_at: float | None = None
        self.in_doubt_at: float | None = None
        self.ended_at: float | None = None
        #: Its row in the ledger, its state there and the reason for that.
        self.row, self.state, self.reason = 0, "not received", ""
        self._kind = trap.cell.kind if trap else None
        first, second = shop.world.line("1"), shop.world.line("2", boxes=2)
        self._lines = [first, shop.world.mixed("2") if self._kind in _BUYS_MIXED else second]
        number = next(_NUMBERS)
        #: By this the ledger knows it.
        self.key = f"SO-{number}"
        self.expected = Expected(
            "axerrio", shop.world.komet_token, "farm1", self.key, f"2026-{number}", _goods(self._lines)
        )
        shop.cases.append(self)
        self._script = self._story()
        self._is_told = False

    @property
    def end(self) -> OrderState:
        """Where it ends."""
        return OrderState.CANCELLED if self.expected.is_cancelled else OrderState.SHIPPED

    @property
    def seconds(self) -> float:
        """From its fault to its end."""
        return self.ended_at - self.struck_at if self.ended_at and self.struck_at else float("inf")

    @property
    def made_twice(self) -> str:
        """More prebooks were ever made of it than were needed, though the surplus may be gone; empty: not so.

        A change makes one line anew, in a prebook of its own.
        """
        if self.expected.origin == "komet":
            return ""
        name = f"Axerrio {self.expected.number} [AX:"
        made = sum(name in each["comments"] for each in self.shop.company["prebooks"])
        needed = 2 if self._kind is Kind.PURCHASE_ORDER_ITEM_DELETE else 1
        return f"{made} prebooks were made of it, needed was {needed}" if made > needed else ""

    def look(self, *, sandbox_struck: bool) -> None:
        """Note what happened to it, and let people do what there is to do.

        Args:
            sandbox_struck: the sandbox did its part of the trap.
        """
        moment = time.monotonic()
        if self.struck_at is None and self.trap is not None and self.trap.has_struck(in_sandbox=sandbox_struck):
            self.struck_at = moment
        if self.in_doubt_at is None and (self.state, self.reason) == (OrderState.HELD, HoldCode.IN_DOUBT):
            self.in_doubt_at = moment
        if not self._is_told:
            self._is_told = next(self._script, self) is self
        if self._is_told and self.ended_at is None and self.state == self.end:
            self.ended_at = moment

    # -- what people do --------------------------------------------------------------------------------------

    def _story(self) -> Script:
        if self._kind not in _LATER:
            yield from self._turn()
        self._sell()
        yield from self._until("linked")
        if self._kind is Kind.PREBOOK_ITEM_DELETE:
            yield from self._turn()
            self._cancel()
            yield from self._until("cancelled")
            return
        if self._kind is Kind.PURCHASE_ORDER_ITEM_DELETE:
            yield from self._turn()
            self._change()
            yield from self._until("linked")
        self._approve()
        yield from self._until("approved")
        self._ship()
        yield from self._until("shipped")
        if self._kind is Kind.BOX_CODE_CHANGE:
            yield from self._turn()
            self._reprint()
            yield from self._until("shipped")

    def _turn(self) -> Script:
        """It waits for its turn; then its trap is set, if it is known by its key already."""
        self.is_ready = True
        while not self.has_turn:
            yield
        if self.trap is not None and self._kind is not Kind.INBOUND_ORDER:
            self.trap.set(self.key)

    def _until(self, step: str) -> Script:
        """Both systems hold it as far as this step."""
        yield
        while not getattr(judge(self.shop.books, [self.expected]), step):
            yield

    def _sell(self) -> None:
        world = self.shop.world
        if self._kind is not Kind.INBOUND_ORDER:
            self._save(**{**world.order(), "number": self.expected.number})
            return
        world.settings(list_lag_seconds=_UNSEEN_SECONDS)
        sold = world.sell_in_komet()
        self.key = f"komet-{world.komet_token}-{sold['id']}"
        if self.trap is not None:
            self.trap.set(self.key)
        world.settings(list_lag_seconds=0)
        items = dict(zip(map(str, sold["item_ids"]), _goods(self._lines).values(), strict=True))
        self.expected = replace(
            self.expected, origin="komet", key=str(sold["id"]), number=str(sold["number"]), lines=items
        )

    def _save(self, **changes: Any) -> None:
        self.shop.world.place(**{**changes, "key": self.key, "lines": self._lines})

    def _change(self) -> None:
        self._lines = [{**self._lines[0], "boxes": 5}, *self._lines[1:]]
        self.expected = replace(self.expected, lines=_goods(self._lines))
        self._save()

    def _cancel(self) -> None:
        self.expected = replace(self.expected, is_cancelled=True)
        self._save(status="cancelled")

    def _approve(self) -> None:
        """Procurement approves the purchase orders that Axerrio names."""
        world = self.shop.world
        for each in self.shop.record(self.expected)["external_references"]["purchaseOrders"]:
            world.control("approve", company_token=world.komet_token, purchase_order_number=each["number"])

    def _ship(self) -> None:
        """It leaves alone, so that the call for its air waybill is its own."""
        serial = next(_AIR_WAYBILLS)
        awb = f"729-{serial // 1000:04} {serial % 1000:03}{serial % 7}"
        key = self.shop.record(self.expected)["key"]
        self.shop.world.in_axerrio("ship", order_keys=[key], awb=awb, with_label_ids=True)

    def _reprint(self) -> None:
        (tenant,) = self.shop.books["tenants"]
        label = next(each for each in tenant["labels"] if each["salesOrderKey"] == self.key)
        self.shop.world.in_axerrio("reprint", label_id=label["labelId"])


_BUYS_MIXED = (None, Kind.PURCHASE_ORDER_MIXED_CREATE)


def _goods(lines: list[Json]) -> dict[str, Goods]:
    """What lines of Axerrio hold, by their keys."""
    return {
        line["lineKey"]: Goods(
            line["article"]["code"],
            line["boxes"],
            tuple(sorted((part["article"]["code"], part["bunches"]) for part in line["breakdown"])),
        )
        for line in lines
    }
