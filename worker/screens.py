"""The screens: what the desk says, drawn for people. Width and colours are the terminal's; `NO_COLOR` is honoured."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from models.canonical import Json
from models.states import OrderState
from worker.sides import disagreements
from worker.today import command_of, turn_of

#: Columns where nobody looks at a terminal.
_WIDE = 200

_COLOURS = {
    "shipped": "bold green",
    "approved": "green",
    "ordered": "cyan",
    "prebooked": "blue",
    "cancelling": "magenta",
    "mapping_required": "yellow",
    "held": "yellow",
    "failed": "red",
}


#: Columns that the labels take, and that Axerrio's side takes at least.
_LABELS, _LEAST = 24, 12
#: Colours of a difference.
_SIGNS = {"+": "green", "-": "red", "~": "cyan"}
_WAITS_FOR = {
    "komet": "Waits until Komet may be called again: see `axkomet status`.",
    "axerrio": "Waits until Axerrio may be called again: see `axkomet status`.",
    "observe": "It is not sent, since its connection only observes.",
    "budget": "Waits for one of the day's Komet requests: they are used, and the nearest departure goes first.",
}
_WAITS_FOR_METHOD = "Waits until our token may call {name} again: see `axkomet status`."
#: What an order waits for that waits for no person's decision.
_WAITS_IN = {
    OrderState.RECEIVED: "It was read, and nothing of it stands in the other system yet.",
    OrderState.PREBOOKED: "Its prebook stands in Komet, and its purchase order comes next.",
    OrderState.ORDERED: "It is ordered in Komet, and procurement has not approved all of it yet.",
    OrderState.APPROVED: "It is approved, and not all of its boxes have left yet.",
    OrderState.SHIPPED: "All of it has left; it is closed a week after its truck.",
    OrderState.CANCELLING: "It is being taken back from the other system.",
}


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state.replace("_", " "), style=_COLOURS.get(state, ""))


def _table(*columns: str) -> Table:
    """Words that are longer than their column are folded: an id that is cut is worth nothing."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def order_list(orders: Sequence[Json]) -> RenderableType:
    """A line for each order."""
    if not orders:
        return Text("No orders.")
    table = _table("order", "connection", "state", "departs", "prebook", "purchase orders", "why it waits")
    for order in orders:
        reason = order["reason"]
        table.add_row(
            order["name"],
            order["connection"],
            state_text(order["state"]),
            order["departure_date"],
            order["komet"]["prebook_number"] or "-",
            ", ".join(each["number"] for each in order["komet"]["purchase_orders"]) or "-",
            reason["message"] if reason else "",
        )
    return table


def today_list(orders: Sequence[Json]) -> RenderableType:
    """A line for each order that leaves today or tomorrow and is not safe."""
    if not orders:
        return Text("All that leaves today and tomorrow is safe in both systems.", style="green")
    table = _table("order", "connection", "departs", "state", "whose turn", "why it waits", "next")
    for order in orders:
        turn, reason = turn_of(order), order["reason"]
        table.add_row(
            order["name"],
            order["connection"],
            order["by"],
            state_text(order["state"]),
            f"{turn.who}: {turn.does}",
            reason["message"] if reason else "",
            (reason["next_command"] if reason else None) or f"axkomet orders show id:{order['id']}",
        )
    return table


def drift_list(report: Json, *, orders: int, is_whole: bool) -> RenderableType:
    """A line for each difference, how many orders were compared, and what it cost; whole: all of it was read."""
    cost = Text(f"{orders} open order(s) compared, {report['requests']} Komet request(s) made.")
    if not report["drift"]:
        said = Text("No drift.", style="green") if is_whole else Text("No drift in what was read.", style="yellow")
        return Group(said, cost)
    table = _table("drift", "order", "connection", "line", "ours", "theirs", "next")
    for each in report["drift"]:
        table.add_row(
            Text(each["kind"], style="yellow"),
            each["order"],
            each["connection"],
            each["line_key"] or "-",
            each["ours"],
            each["theirs"],
            each["next_command"],
        )
    return Group(table, cost)


def preview_list(previews: Sequence[Json]) -> RenderableType:
    """What a requeue of each order would lead to, as a difference."""
    parts: list[RenderableType] = []
    for each in previews:
        parts.append(Text.assemble((each["name"], "bold"), f" ({each['connection']}) {each['outcome']}"))
        parts += [Text(f"    {line}") for line in each["stands"]]
        parts += [Text(f"  {line}", style=_SIGNS.get(line[0], "")) for line in each["would"]]
        if each["waits"]:
            parts.append(Text(f"  waits: {each['waits']}", style="yellow"))
        elif not each["would"]:
            parts.append(Text("  nothing would be sent at once"))
    return Group(*parts)


def order_account(order: Json, packings: Mapping[str, str] | None = None) -> RenderableType:
    """One order: why it waits, whose turn it is and what to type; then both systems side by side, history and writes.

    Args:
        order: as the desk shows it.
        packings: Komet's box type for Axerrio's packing, where it is not the same code.
    """
    origin = "born in Komet" if order["origin"] == "komet" else None
    known_as = ", ".join(filter(None, (origin, order["axerrio"]["key"], f"version {order['axerrio']['version']}")))
    head = Text.assemble(
        (f"{order['name']} ", "bold"),
        f"({known_as}, {order['connection']}) is ",
        state_text(order["state"]),
        f"; departs {order['departure_date']}, truck {order['truck_date']}",
    )
    parts: list[RenderableType] = [head, *_why(order)]
    if order["last_error"]:
        again = f" (tried again at {_short(order['due_at'])})" if order["due_at"] else ""
        parts.append(Text(f"Last error{again}: {order['last_error']}"))
    parts += [Text("\nLine by line", style="bold"), _SideBySide(order["lines"], packings or {})]
    history = Table.grid(padding=(0, 2))
    history.add_column(no_wrap=True)
    history.add_column(overflow="fold")
    for row in order.get("history", []):
        moved = row["to"] if row["from"] in (None, row["to"]) else f"{row['from']} → {row['to']}"
        history.add_row(_short(row["at"]), f"{moved.replace('_', ' ')}: {row['why']}")
    writes = Table.grid(padding=(0, 2))
    writes.add_column(no_wrap=True)
    writes.add_column(overflow="fold")
    for row in order.get("writes", []):
        writes.add_row(_short(row["sent_at"]), _write(row))
    for title, table in (("History", history), ("Writes", writes)):
        if table.row_count:
            parts += [Text(f"\n{title}", style="bold"), table]
    return Group(*parts)


@dataclass(frozen=True)
class _SideBySide:
    """Lines in both systems, drawn so that Komet's longest box code stands whole from 60 columns on."""

    lines: Sequence[Json]
    packings: Mapping[str, str]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, of whose room Axerrio's side takes two fifths."""
        table = _table("", "Axerrio", "", "Komet")
        table.columns[0].no_wrap = True
        table.columns[1].max_width = max(_LEAST, (options.max_width - _LABELS) * 2 // 5)
        for line in self.lines:
            _compare(table, line, self.packings)
        yield table


def _why(order: Json) -> Iterable[Text]:
    """Why it waits, who must act by when, and what to type."""
    reason, state = order["reason"], OrderState(order["state"])
    if reason is not None:
        yield Text(reason["message"], style="yellow")
    if order["held_up_by"]:
        yield Text(_WAITS_FOR.get(order["held_up_by"], _WAITS_FOR_METHOD).format(name=order["held_up_by"]))
    elif reason is None and state in _WAITS_IN:
        yield Text(_WAITS_IN[state])
    if state.is_final:
        return
    turn = turn_of(order)
    by = f", by {order['departure_date']} (truck {order['truck_date']})" if turn.who != "nobody" else ""
    yield Text(f"Whose turn: {turn.who}: {turn.does}{by}")
    if reason is not None:
        yield Text(f"Next: {command_of(order) or 'nothing to type; it goes on by itself once that is mended'}")


def _compare(table: Table, line: Json, packings: Mapping[str, str]) -> None:
    """A row for each thing that both systems have of a line, with a sign where they do not agree."""
    ours, items, bought = line["axerrio"] or {}, line["prebook_items"], line["purchase_order_items"]
    unlike = disagreements(line, packings)

    def add(name: str, label: str, here: str | None, there: Iterable[str | None]) -> None:
        found = "\n".join(dict.fromkeys(filter(None, there)))
        if here or found:
            style = "bold yellow" if name in unlike else ""
            sign = Text("≠" if name in unlike else "", style=style)
            table.add_row(f"  {label}", Text(here or "-", style=style), sign, Text(found or "-", style=style))

    is_there = [each["status"] for each in bought] or ["prebook" for _ in items[:1]]
    label = Text.assemble((f"line {line['line_key']}", "bold"), "\n  ", state_text(line["state"]))
    table.add_row(label, ours.get("status", "-"), "", "\n".join(dict.fromkeys(is_there)) or "-")
    article = " ".join(filter(None, (ours.get("article_code"), ours.get("description"))))
    unknown = {each["id"]: " (Komet does not know it)" if each["mapped"] is False else "" for each in items}
    add("product", "product", article, [f"{each['product'] or '?'}{unknown[each['id']]}" for each in items])
    add("boxes", "boxes", _number(ours.get("boxes")), [_number(sum(each["boxes"] for each in items) or None)])
    add("packing", "packing", ours.get("packing"), [each["packing"] for each in items])
    days = [each["departure_date"] for each in items] + [each["ship_date"] for each in bought]
    add("departure_date", "ship date", ours.get("departure_date"), days)
    add("truck_date", "truck", ours.get("truck_date"), [each["truck_date"] for each in items])
    told = ours.get("prebook_item_id")
    prebooks = [f"{each['prebook_number'] or each['prebook_id']}, item {each['id']}" for each in items]
    add("prebook", "prebook", f"item {told}" if told else None, prebooks)
    told = ours.get("purchase_order_item_id")
    orders = [
        f"{each['number']}, item {each['id']}: {each['boxes']} boxes, ships {each['ship_date']}, {each['status']}"
        for each in bought
    ]
    number = ours.get("purchase_order_number") or "?"
    add("purchase_order", "purchase order", f"{number}, item {told}" if told else None, orders)
    leaving = [
        _on_waybill(each["awb"] or "?", each["ship_date"], each["boxes"], each["box_codes"])
        for each in ours.get("shipments", [])
    ]
    told = [
        _on_waybill(awb, day, len(codes), codes) for (awb, day), codes in _by_waybill(line["boxes_shipped"]).items()
    ]
    add("awb", "air waybill", "\n".join(leaving) or None, told)
    carried = {code for each in ours.get("shipments", []) for code in each["box_codes"]}
    add("", "labels", " ".join(code for code in ours.get("labels", []) if code not in carried) or None, [])
    ours_there = {each["box_code"] for each in line["boxes_shipped"]}
    strange = sorted({code for each in bought for code in each["box_codes"]} - ours_there)
    add("box_codes", "other boxes", None, [" ".join(strange)])
    changed = [change for each in (*items, *bought) for change in each["changes"]]
    words = [f"{each['field'].replace('_', ' ')} {each['before']} → {each['after']}" for each in changed]
    if words:
        unlike.add("changes")
        add("changes", "by a person", None, words)


def _write(row: Json) -> Text:
    """One write, in a sentence."""
    tries = f"{row['attempts']} {'try' if row['attempts'] == 1 else 'tries'}"
    settled = f", settled {_short(row['settled_at'])}" if row["settled_at"] else ""
    said = f": {row['error']}" if row["error"] else ""
    style = "red" if row["state"] == "refused" else ""
    return Text.assemble(f"{row['kind']} ", (row["state"], style), f", {tries}{settled}{said}")


def _number(count: int | None) -> str | None:
    return None if count is None else str(count)


def _on_waybill(awb: str, day: str, boxes: int, codes: Iterable[str]) -> str:
    return f"{awb}, {day}: {boxes} boxes {' '.join(codes)}".strip()


def _by_waybill(boxes: Iterable[Json]) -> dict[tuple[str, str], list[str]]:
    """Codes of boxes by air waybill and ship date."""
    codes: dict[tuple[str, str], list[str]] = {}
    for box in boxes:
        codes.setdefault((box["awb"], box["ship_date"]), []).append(box["box_code"])
    return codes


def mapping_list(mappings: Sequence[Json]) -> RenderableType:
    """A line for each mapping, and for each article that orders wait for."""
    if not mappings:
        return Text("No mappings.")
    table = _table("connection", "article", "description", "product in Komet", "orders wait", "departs", "maybe")
    for each in mappings:
        product = " ".join(filter(None, (each["product_code"], each["product_description"])))
        table.add_row(
            each["connection"],
            each["article_code"] or Text("?", style="yellow"),
            each["description"] or "-",
            product or Text("?", style="yellow"),
            Text(str(each["orders"]), style="yellow") if each["orders"] else "-",
            each["nearest_departure"] or "-",
            ", ".join(" ".join(filter(None, (one["code"], one["description"]))) for one in each["candidates"]) or "-",
        )
    return table


def status_screen(status: Json) -> RenderableType:
    """Healthy or not, in words; then each connection."""
    parts: list[RenderableType] = [
        Text("Healthy.", style="green") if status["healthy"] else Text("Not healthy:", style="red")
    ]
    parts += [Text(f"  {problem}") for problem in status["problems"]]
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in status["connections"]:
        counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(each["orders"].items()))
        oldest, budget = each["oldest_due_seconds"], each["budget"]
        signs = [each["mode"]] if each["mode"] == "observe" else []
        signs += ["paused"] if each["paused"] else []
        table.add_row(Text(each["name"], style="bold"), Text(", ".join(signs), style="yellow"))
        table.add_row("  orders", f"{counts or 'none'}; {each['in_doubt']} in doubt")
        table.add_row("  oldest due", f"{oldest:.0f} s" if oldest is not None else "-")
        table.add_row("  last polls", ", ".join(_poll(feed) for feed in each["feeds"]) or "-")
        table.add_row("  requests left", f"{budget['left']} of {budget['limit']} of Komet's")
        for record in each["put_aside"]:
            name = f"{record['feed']} {record['key'] or record['sequence'] or '?'}"
            table.add_row("  put aside", f"{name} cannot be read: {record['reason']}")
        for note in each["notes"][:1]:
            why = f": {note['why']}" if note["why"] else ""
            table.add_row("  last note", f"{note['what']} by {note['who']} at {_short(note['at'])}{why}")
    last_tick = _short(status["beat"]["last_tick_at"])
    return Group(*parts, table, Text(f"{status['workers']} worker(s), last tick {last_tick}"))


def _poll(feed: Json) -> str:
    return f"{feed['name']} {_short(feed['last_success_at'])}"


def check_list(checks: Iterable[Json]) -> RenderableType:
    """A line for each check, and what to do for each that failed."""
    table = _table("", "check", "")
    for each in checks:
        sign = Text("ok", style="green") if each["ok"] else Text("NO", style="red")
        fix = f"\n{each['fix']}" if each["fix"] else ""
        table.add_row(sign, each["name"], f"{each['message']}{fix}")
    return table


def _short(time: str | None) -> str:
    return datetime.fromisoformat(time).strftime("%m-%d %H:%M:%S") if time else "-"


def terminal() -> Console:
    """Standard output as it is: without colours and wide where it is not a terminal. Brackets are no markup."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=_WIDE)


@contextmanager
def progress(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while something is done many times; none where stderr is no terminal. It goes away at the end.

    Args:
        what: was done to those that are done.
        total: how many there are.
        shown: False: no bar.

    Yields:
        What to call with how many are done.
    """
    console = Console(stderr=True, highlight=False)
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done, refresh=True)
