"""What people see of the day: a screen that moves on a terminal, plain lines elsewhere, and the closing figures."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from models.canonical import Json
from models.states import OrderState
from worker.demo.day import TIMES, Day
from worker.demo.verdict import Verdict
from worker.screens import state_text

_PLAIN_PAUSE = 5.0
_WORKFLOWS = {"axerrio": "Axerrio → Komet", "komet": "Komet → Axerrio"}
#: In the order in which people read them; the flags that wait for somebody come last.
_STATES = (
    OrderState.RECEIVED,
    OrderState.PREBOOKED,
    OrderState.ORDERED,
    OrderState.APPROVED,
    OrderState.SHIPPED,
    OrderState.CANCELLING,
    OrderState.CANCELLED,
    OrderState.MAPPING_REQUIRED,
    OrderState.HELD,
    OrderState.FAILED,
)
#: Lines of the live screen beside the day's events.
_FRAME = 9
_FEWEST_EVENTS, _MOST_EVENTS = 4, 14


class Screen:
    """The day as it goes: a screen that moves on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._told = 0
        self._next_line = _PLAIN_PAUSE

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Show what `show` is given, and leave its last picture."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield

    def show(self, day: Day) -> None:
        """Show the day as it stands."""
        if self._live:
            self._live.update(_picture(day, self._console), refresh=True)
            return
        for seconds, event in day.events[self._told :]:
            self._console.print(f"{seconds:6.1f} s  {event}")
        self._told = len(day.events)
        if day.seconds >= self._next_line:
            for line in _lines(day.orders):
                self._console.print(f"{day.seconds:6.1f} s  {line}")
            self._next_line = day.seconds + _PLAIN_PAUSE


def _picture(day: Day, console: Console) -> RenderableType:
    shown = max(_FEWEST_EVENTS, min(_MOST_EVENTS, console.height - _FRAME))
    events = [
        Text(f"{seconds:5.1f} s  {event}", style="dim", no_wrap=True, overflow="ellipsis")
        for seconds, event in day.events[-shown:]
    ]
    waits = [order["reason"]["message"] for order in day.orders if order["reason"]]
    why = Text(waits[0] if waits else "", style="yellow", no_wrap=True, overflow="ellipsis")
    return Group(_head(day), Text(), _table(day), why, Text(), *events, *[Text()] * (shown - len(events)))


def _head(day: Day) -> Text:
    return Text.assemble(
        ("axkomet demo", "bold"),
        f"{day.seconds:5.0f} s   answers lost {day.lost.total()}   calls cut off {day.cut_off.total()}",
        f"   workers killed {day.kills}",
    )


def _table(day: Day) -> RenderableType:
    """Orders by state, a row for each workflow; states that no order is in keep their place."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", width=16, no_wrap=True)
    counts = _counts(day.orders)
    flags = [
        state for state in _STATES[5:] if state is OrderState.CANCELLED or any(of[state] for of in counts.values())
    ]
    states = [*_STATES[:5], *flags]
    for state in states:
        table.add_column(state_text(state.value.partition("_")[0]), justify="right", min_width=8, no_wrap=True)
    for origin, name in _WORKFLOWS.items():
        table.add_row(name, *(_number(state, counts[origin][state]) for state in states))
    return table


def _number(state: OrderState, count: int) -> Text:
    return Text(str(count), style=state_text(state.value).style) if count else Text("·", style="dim")


def _counts(orders: Sequence[Json]) -> dict[str, Counter[str]]:
    return {origin: Counter(each["state"] for each in orders if each["origin"] == origin) for origin in _WORKFLOWS}


def _lines(orders: Sequence[Json]) -> Iterator[str]:
    for origin, counts in _counts(orders).items():
        words = [f"{counts[state]} {state.value.replace('_', ' ')}" for state in _STATES if counts[state]]
        yield f"{_WORKFLOWS[origin]}: {', '.join(words) or 'no orders'}"


def figures(day: Day, verdict: Verdict) -> RenderableType:
    """The closing figures."""
    orders = sum(verdict.orders.values())
    each = f"{day.komet_requests / max(1, orders):.1f} for each order, polling every {TIMES['poll_seconds']:g} s"
    shipped = f"{verdict.boxes} boxes on {verdict.air_waybills} air waybills, each with its label's code"
    rows = (
        ("orders of Axerrio", verdict.orders.get("axerrio", 0), ""),
        ("prebooks of Komet", verdict.orders.get("komet", 0), ""),
        ("linked both ways", verdict.linked, ""),
        ("approved, told to Axerrio", verdict.approved, ""),
        ("shipped", verdict.shipped, shipped),
        ("cancelled", verdict.cancelled, "nothing of them stands"),
        ("mapped on the way", len(day.people.mapped), "articles that Komet did not know"),
        ("answers lost", day.lost.total(), f"after the work was done, of {len(day.lost)} kinds of calls"),
        ("calls cut off", day.cut_off.total(), f"before any work, of {len(day.cut_off)} kinds of calls"),
        ("workers killed (kill -9)", day.kills, ""),
        ("Komet requests", day.komet_requests, each),
    )
    lines = [
        Text(f"\nRead from the two simulated systems after {day.seconds:.0f} s, not from our ledger:\n", style="dim")
    ]
    lines += [Text(f"  {name:<26}{number:>5}   {words}".rstrip()) for name, number, words in rows]
    judged = (("doubled", verdict.doubled), ("lost", verdict.lost))
    for name, found in judged:
        lines.append(Text(f"  {name:<26}{len(found):>5}", style="bold red" if found else "bold green"))
    for name, found in judged:
        lines += [Text(f"  {name}: {what}: {why}", style="red") for what, why in found.items()]
    if not day.ledger_is_done:
        lines += [Text(f"  our ledger says: {line}", style="red") for line in _lines(day.orders)]
        lines += [Text(f"  {words}", style="red") for words in _waiting(day.orders)]
    return Group(*lines)


def _waiting(orders: Sequence[Json]) -> Iterator[str]:
    """What keeps the orders that are not at their end."""
    for order in orders:
        name = order["axerrio"]["number"] or f"prebook {order['komet']['prebook_number']}"
        why = order["reason"]["message"] if order["reason"] else order["last_error"]
        if why and order["state"] not in (OrderState.SHIPPED, OrderState.CANCELLED):
            yield f"{name}: {why}"
