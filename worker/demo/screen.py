"""What people see of the day: a screen that moves on a terminal, plain lines elsewhere, and the closing figures."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from models.states import PROGRESS, OrderState
from worker.demo.day import TIMES, Day
from worker.demo.verdict import Verdict
from worker.screens import state_text

Json = dict[str, Any]

_PLAIN_PAUSE = 5.0
_EVENTS_SHOWN = 5
#: Lines of the live screen beside its orders.
_FRAME = 7 + _EVENTS_SHOWN
_MOST_ROWS = 20


class Screen:
    """The day as it goes: a screen that moves on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._told = 0
        self._next_line = 0.0

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
            self._console.print(f"{day.seconds:6.1f} s  {_counts(day.orders).plain}")
            self._next_line = day.seconds + _PLAIN_PAUSE


def _picture(day: Day, console: Console) -> RenderableType:
    rows = max(4, min(_MOST_ROWS, console.height - _FRAME))
    approved = [each for each in day.orders if each["state"] == OrderState.APPROVED]
    moving = [each for each in day.orders if each["state"] != OrderState.APPROVED]
    # What is done scrolls away above; what moves stays in its place below.
    shown = sorted(approved, key=lambda each: (each["updated_at"], each["id"]))
    shown = (shown + sorted(moving, key=lambda each: int(each["id"])))[-rows:]
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = {"order": 10, "connection": 10, "articles": 22, "state": 10, "prebook": 7, "purchase": 8}
    for name, width in columns.items():
        table.add_column(name, width=width, no_wrap=True)
    for order in shown:
        table.add_row(
            order["axerrio"]["number"],
            order["connection"],
            " ".join(line["article_code"] for line in order["lines"]),
            state_text(order["state"]),
            order["komet"]["prebook_number"] or "-",
            " ".join(each["number"] for each in order["komet"]["purchase_orders"]) or "-",
        )
    for _ in range(rows - len(shown)):
        table.add_row()
    events = day.events[-_EVENTS_SHOWN:]
    lines = [Text(f"{seconds:5.1f} s  {event}", style="dim", no_wrap=True) for seconds, event in events]
    progress = Table.grid()
    progress.add_row(ProgressBar(total=day.total, completed=len(approved), width=min(console.width - 1, 76)))
    return Group(
        _head(day),
        progress,
        _counts(day.orders),
        Text(),
        table,
        Text(),
        *lines,
        *[Text()] * (_EVENTS_SHOWN - len(lines)),
    )


def _head(day: Day) -> Text:
    return Text.assemble(
        ("axkomet demo", "bold"),
        f"{day.seconds:5.0f} s   Komet answers lost {day.came('lost_answer')} of {day.creates}",
        f"   workers killed {day.kills}",
    )


def _counts(orders: Sequence[Json]) -> Text:
    counts = Counter(each["state"] for each in orders)
    states = [state.value for state in PROGRESS]
    states += sorted(counts.keys() - set(states))
    line = Text(no_wrap=True)
    for state in states:
        line.append_text(state_text(state)).append(f" {counts[state]:<5}")
    line.rstrip()
    return line


def figures(day: Day, verdict: Verdict, requests: int) -> RenderableType:
    """The closing figures; `requests` are those that both companies counted."""
    each = f"{requests / max(1, verdict.orders):.1f} for each order, polling every {TIMES['poll_seconds']:g} s"
    rows = (
        ("orders", verdict.orders, ""),
        ("prebooks in Komet", verdict.prebooks, ""),
        ("purchase orders in Komet", verdict.purchase_orders, ""),
        ("linked both ways", verdict.linked, ""),
        ("approved in Axerrio", verdict.approved, ""),
        ("Komet answers lost", day.came("lost_answer"), f"of {day.creates} creates, after the work was done"),
        ("Komet creates cut off", day.came("reset_before"), "before any work"),
        ("workers killed (kill -9)", day.kills, ""),
        ("Komet requests", requests, each),
    )
    lines = [Text("\nRead from the two simulated systems, not from our ledger:\n", style="dim")]
    lines += [Text(f"  {name:<26}{number:>5}   {words}".rstrip()) for name, number, words in rows]
    judged = (("doubled", verdict.doubled), ("lost", verdict.lost))
    for name, found in judged:
        lines.append(Text(f"  {name:<26}{len(found):>5}", style="bold red" if found else "bold green"))
    for name, found in judged:
        lines += [Text(f"  {name}: {what}: {why}", style="red") for what, why in found.items()]
    return Group(*lines)
