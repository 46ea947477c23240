"""Shops, the processes that serve them, and a fault for each order that is sold there."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import or_, select

from benchmarks.cells import WAYS, Case, Cell, Shop, Trap
from models.states import Kind
from models.tables import Order
from tests.processes.plant import Processes, bare_environment, connections_toml
from tests.world import World

#: Longer than this nothing may take, on whatever machine.
_LIMIT_SECONDS = 120.0
_LOOK_SECONDS = 0.2
_WORKERS = 2
_REST_SECONDS = 4.0


@dataclass(frozen=True)
class Outcome:
    """What became of the order of one cell."""

    cell: Cell
    #: From its fault to its end.
    seconds: float
    #: From its fault until it was held as in doubt, if it was.
    in_doubt_seconds: float
    #: What went wrong; empty: nothing.
    doubled: str
    lost: str
    #: The order with its history and its writes, where something went wrong.
    account: str = ""

    def __str__(self) -> str:
        return f"{self.cell}: " + (f"{self.seconds:.1f} s" if self.holds else f"{self.result}\n{self.account}")

    @property
    def result(self) -> str:
        """In a cell of the table."""
        return f"{self.seconds:.1f}" if self.holds else f"**{self.doubled or self.lost}**"

    @property
    def holds(self) -> bool:
        """It ended once, whole and unaided."""
        return not (self.doubled or self.lost)


@dataclass
class Yard:
    """Shops, and the processes that serve them, broken as the cells say."""

    shops: Mapping[str, Shop]
    processes: Processes
    failpoints: Path
    #: No shop has earned proof: whatever is lost before the work is in doubt first.
    is_fresh: bool = False
    #: What stands twice in a shop and belongs to no cell.
    surplus: list[str] = field(default_factory=list)

    def case(self, shop: str, cell: Cell | None) -> Case:
        """An order to be sold in a shop."""
        of = self.shops[shop]
        return Case(of, None if cell is None else Trap(cell, of.world, self.failpoints))

    def again(self, case: Case) -> Case:
        """Another order for its cell: this one's write was settled by a look, since another's death came between."""
        if case.trap is None:
            raise ValueError("nothing was to break it")
        cell = case.trap.cell
        case.trap.remove()
        case.trap = None
        return Case(case.shop, Trap(cell, case.shop.world, self.failpoints))

    def lead(self, cases: Sequence[Case], until: Callable[[Case], object]) -> bool:
        """Look after the processes and play the people until it holds for each of these orders; False: it does not."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while True:
            self._look()
            if all(map(until, cases)):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)

    def _look(self) -> None:
        self.processes.look_after()
        control = next(iter(self.shops.values())).world
        dump = control.http.get(f"{control.addresses['control']}/dump").json()
        ordered = control.http.get(f"{control.addresses['control']}/faults").json()["faults"]
        struck = {(each["method"], each["token"]) for each in ordered if each["struck"]}
        for shop in self.shops.values():
            shop.read(dump)
        going = [case for shop in self.shops.values() for case in shop.cases if case.ended_at is None]
        self._ask_the_ledger(going)
        for case in going:
            fault = case.trap.sandbox if case.trap else None
            case.look(sandbox_struck=fault is not None and (fault["method"], fault["token"]) in struck)

    def _ask_the_ledger(self, cases: Sequence[Case]) -> None:
        keys = [case.key for case in cases]
        columns = Order.id, Order.axerrio_key, Order.external_id, Order.state, Order.reason_code
        known = or_(Order.axerrio_key.in_(keys), Order.external_id.in_(keys))
        with self.processes.sessions() as session:
            rows = session.execute(select(*columns).where(known)).all()
        found = {key: row for row in rows for key in (row.axerrio_key, row.external_id)}
        for case in cases:
            if row := found.get(case.key):
                case.row, case.state, case.reason = row.id, row.state, row.reason_code or ""

    def order_faults(self, cases: Iterable[Case]) -> None:
        """Order the sandbox's part of these traps, in place of all ordered before."""
        control = next(iter(self.shops.values())).world
        faults = [case.trap.sandbox for case in cases if case.trap is not None and case.trap.sandbox is not None]
        control.control("faults", faults=faults)

    def judge(self) -> list[Outcome]:
        """What became of the orders of all cells, after a while in which anything that was left would be done."""
        rest = time.monotonic() + _REST_SECONDS
        while time.monotonic() < rest:
            self.processes.look_after()
            time.sleep(_LOOK_SECONDS)
        alive = {child.process.pid for child in self.processes.children.values() if child.alive}
        self._look()
        outcomes = []
        for name, shop in self.shops.items():
            verdict = shop.judge()
            doubled = dict(verdict.doubled)
            for case in shop.cases:
                twice, lost = doubled.pop(case.expected.name, ""), verdict.lost.get(case.expected.name, "")
                twice = twice or case.made_twice
                if case.ended_at is None:
                    lost = f"it is {case.state} {case.reason} and not {case.end}" + f": {lost}" * bool(lost)
                if case.trap is not None:
                    outcomes.append(self._outcome(case, case.trap, twice, lost, alive))
                elif twice or lost:
                    self.surplus.append(f"{case.expected.name}, which nothing broke: {twice or lost}")
            self.surplus += [f"{name}: {what}: {why}" for what, why in doubled.items()]
            if (made := len(shop.company["purchase_orders"])) > len(shop.cases):
                self.surplus.append(f"{name}: {made} purchase orders were made for {len(shop.cases)} orders")
        return outcomes

    def _outcome(self, case: Case, trap: Trap, twice: str, lost: str, alive: set[int]) -> Outcome:
        if case.struck_at is None:
            lost = "its fault did not strike"
        elif trap.victim in alive:
            lost = "the process that met its fault is alive"
        elif self.is_fresh and case.in_doubt_at is None:
            lost = "it was never in doubt"
        in_doubt = case.in_doubt_at - case.struck_at if case.in_doubt_at and case.struck_at else 0.0
        account = json.dumps(self.processes.order(f"id:{case.row}"), indent=1) if twice or lost else ""
        return Outcome(trap.cell, case.seconds, in_doubt, twice, lost, account)


@contextmanager
def running_yard(
    folder: Path, worlds: Mapping[str, World], database_url: str, redis_url: str, *, is_fresh: bool = False
) -> Iterator[Yard]:
    """Two workers and a beat that serve these worlds, each by a connection of its own."""
    folder.mkdir(exist_ok=True)
    failpoints = folder / "failpoints"
    failpoints.mkdir()
    shops = {name: Shop(world) for name, world in worlds.items()}
    tokens = {name: token for shop in shops.values() for name, token in shop.tokens.items()}
    urls = {"AXKOMET_DATABASE_URL": database_url, "AXKOMET_REDIS_URL": redis_url}
    file = connections_toml(*(shop.entry() for shop in shops.values()))
    env = bare_environment(folder, file, tokens, **urls, AXKOMET_FAILPOINTS=str(failpoints))
    # They are started often: compiled code is kept, though only for this run.
    env = {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    yard = Yard(shops, Processes(folder, env, _WORKERS), failpoints, is_fresh)
    try:
        yard.processes.start_all()
        yield yard
    finally:
        yard.processes.stop()


# -- where absence is proof ------------------------------------------------------------------------------------


def shop_of(way: str) -> str:
    """The name of the connection on which it breaks in this way."""
    return way.replace(" -", "-").replace(" ", "-")


def earn_proof(yard: Yard) -> list[Case]:
    """An order of each shop that goes all the way unbroken: once it has, absence is proof there, for every kind."""
    return [yard.case(shop, None) for shop in yard.shops]


def break_all(yard: Yard, cells: Iterable[Cell], earners: Sequence[Case] = ()) -> None:
    """An order for each cell, all at once; those whose answer the sandbox loses go first, since it strikes the first.

    Args:
        yard: where proof was earned.
        cells: one order for each.
        earners: proof is earned once these have ended.

    Raises:
        ValueError: more than one answer would be lost in one shop.
    """
    cases = [yard.case(shop_of(cell.way), cell) for cell in cells]
    first = [case for case in cases if case.trap is not None and case.trap.sandbox is not None]
    if len({case.shop.world.name for case in first}) < len(first):
        raise ValueError("one answer can be lost in a shop at once")
    yard.lead([*cases, *earners], lambda case: case.is_ready and (case.trap is not None or case.ended_at))
    yard.order_faults(first)
    for way in WAYS:  # the one whose process lives is left in peace for a moment, to show what it does next
        wave = [case for case in first if case.trap is not None and case.trap.cell.way == way]
        _break(wave)
        yard.lead(wave, lambda case: case.struck_at)
    rest = [case for case in cases if case not in first]
    while rest:
        _break(rest)
        yard.lead(rest, lambda case: case.struck_at or case.ended_at)
        rest = [yard.again(case) for case in rest if case.struck_at is None and case.ended_at is not None]
        yard.lead(rest, lambda case: case.is_ready)
        cases += rest
    yard.lead(cases, lambda case: case.ended_at)


def _break(cases: Sequence[Case]) -> None:
    for case in cases:
        case.has_turn = True


# -- where it was not earned -----------------------------------------------------------------------------------


def fresh_shop_of(kind: Kind) -> str:
    """The name of the connection that has earned nothing for this kind."""
    return f"fresh-{kind.replace('.', '-')}"


def break_fresh(yard: Yard, cells: Iterable[Cell]) -> None:
    """Orders that are lost before the work wait in doubt, unsent, until another of their connection earns proof."""
    cases = [yard.case(fresh_shop_of(cell.kind), cell) for cell in cells]
    for case in cases:
        case.has_turn = True
    yard.lead(cases, lambda case: case.in_doubt_at)
    for case in cases:
        if case.trap and case.in_doubt_at and (sent := case.shop.requests(case.trap.cell.operation[1])):
            yard.surplus.append(f"{case.trap.cell}: it was in doubt, and {sent} were sent")
    yard.lead([*cases, *earn_proof(yard)], lambda case: case.ended_at)
