"""The screens: what the desk says, drawn for people. Width and colours are the terminal's; `NO_COLOR` is honoured."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.states import OrderState
from worker.today import turn_of

Json = dict[str, Any]

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


#: Colours of a difference.
_SIGNS = {"+": "green", "-": "red", "~": "cyan"}
_WAITS_FOR = {
    "komet": "Waits until Komet may be called again: see `axkomet status`.",
    "axerrio": "Waits until Axerrio may be called again: see `axkomet status`.",
    "budget": "Waits for one of the day's Komet requests: they are used, and the nearest departure goes first.",
}
_WAITS_FOR_METHOD = "Waits until our token may call {name} again: see `axkomet status`."


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state.replace("_", " "), style=_COLOURS.get(state, ""))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
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


def order_account(order: Json) -> RenderableType:
    """One order: why it waits and what to type, then lines, history and writes."""
    origin = "born in Komet" if order["origin"] == "komet" else None
    known_as = ", ".join(filter(None, (origin, order["axerrio"]["key"], f"version {order['axerrio']['version']}")))
    head = Text.assemble(
        (f"{order['name']} ", "bold"),
        f"({known_as}, {order['connection']}) is ",
        state_text(order["state"]),
        f"; departs {order['departure_date']}, truck {order['truck_date']}",
    )
    parts: list[RenderableType] = [head]
    if order["reason"]:
        parts.append(Text(order["reason"]["message"], style="yellow"))
        if order["reason"]["next_command"]:
            parts.append(Text(f"Next: {order['reason']['next_command']}"))
    if order["held_up_by"]:
        parts.append(Text(_WAITS_FOR.get(order["held_up_by"], _WAITS_FOR_METHOD).format(name=order["held_up_by"])))
    turn = turn_of(order)
    if not OrderState(order["state"]).is_final:
        by = f", by {order['departure_date']}" if turn.who != "nobody" else ""
        parts.append(Text(f"Whose turn: {turn.who}: {turn.does}{by}"))
    if order["last_error"]:
        parts.append(Text(f"Last error: {order['last_error']}"))
    numbers = ", ".join(each["number"] or each["id"] for each in order["komet"]["prebooks"])
    purchase_orders = ", ".join(f"{each['number']} ({each['status']})" for each in order["komet"]["purchase_orders"])
    parts.append(Text(f"In Komet: prebook {numbers or '-'}, purchase orders {purchase_orders or '-'}"))
    lines = _table("line", "article", "description", "boxes", "state", "prebook item", "purchase order item")
    shipped = _table("line", "air waybill", "shipped", "boxes", "codes")
    for line in order["lines"]:
        bought = ", ".join(f"{each['number']}/{each['id']}" for each in line["purchase_order_items"])
        lines.add_row(
            line["line_key"],
            line["article_code"] or "-",
            line["description"] or "-",
            str(line["boxes"] or "-"),
            state_text(line["state"]),
            line["prebook_item_id"] or "-",
            bought or "-",
        )
        for (awb, day), codes in _by_waybill(line["boxes_shipped"]).items():
            shipped.add_row(line["line_key"], awb, day, str(len(codes)), " ".join(codes))
    history = _table("when", "from", "to", "why")
    for row in order.get("history", []):
        history.add_row(_short(row["at"]), row["from"] or "-", row["to"], row["why"])
    writes = _table("write", "state", "tries", "sent", "settled", "said")
    for row in order.get("writes", []):
        times = (_short(row["sent_at"]), _short(row["settled_at"]))
        writes.add_row(row["kind"], row["state"], str(row["attempts"]), *times, row["error"] or "")
    for title, table in (("Lines", lines), ("Shipped", shipped), ("History", history), ("Writes", writes)):
        if table.row_count:
            parts += [Text(f"\n{title}", style="bold"), table]
    return Group(*parts)


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
    """Healthy or not, in words; then a line for each connection."""
    parts: list[RenderableType] = [
        Text("Healthy.", style="green") if status["healthy"] else Text("Not healthy:", style="red")
    ]
    parts += [Text(f"  {problem}") for problem in status["problems"]]
    table = _table("connection", "orders", "oldest due", "in doubt", "last polls", "Komet requests left")
    for each in status["connections"]:
        counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(each["orders"].items()))
        oldest = each["oldest_due_seconds"]
        polls = ", ".join(f"{feed['name']} {_short(feed['last_success_at'])}" for feed in each["feeds"])
        table.add_row(
            each["name"]
            + (" (observe)" if each["mode"] == "observe" else "")
            + (" (paused)" if each["paused"] else ""),
            counts or "none",
            f"{oldest:.0f} s" if oldest is not None else "-",
            str(each["in_doubt"]),
            polls or "-",
            f"{each['budget']['left']} of {each['budget']['limit']}",
        )
    last_tick = _short(status["beat"]["last_tick_at"])
    return Group(*parts, table, Text(f"{status['workers']} worker(s), last tick {last_tick}"))


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
