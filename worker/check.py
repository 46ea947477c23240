"""`axkomet check`: settings, services and each connection, a line for each, with what to do for each that fails.

It changes nothing, in either system or in the ledger.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from clients.errors import ClientError, NoBudget, NoTurn, RefusalKind, Refused
from clients.komet.client import Listing
from models.canonical import Json, Origin, codes
from models.database import now
from models.states import HoldCode, Kind, WriteState
from models.tables import Order, PausedMethod, Write
from tasks.connection import Connection, ConnectionSettings
from tasks.dates import is_time_zone
from tasks.translation import translated
from tasks.wanted import canonical, carrier_code_of, catalogue, customer_of
from worker.assembly import Ledger, check_redis, id_of_connection, open_ledger, tokens_of
from worker.connections import load_connections
from worker.problems import Problem
from worker.settings import Settings, resolve_services
from worker.wiring import make_connection

#: Clocks further apart than this make dates and logs wrong.
_SKEW = timedelta(seconds=60)
_NTP = "set the clocks of both machines by NTP"
_TICK = "tick the method {method} for the vendor token in Komet (Setup, Settings, Integrations, Tokens)"
_OF_REFUSAL = {
    RefusalKind.TOKEN: "mend the token",
    RefusalKind.RIGHT: _TICK,
    RefusalKind.LIMIT: "wait, and try again: other programs use the company's requests too",
}
_RESTART = "then start the workers again"
#: So many codes of a list are named at most.
_MOST_CODES = 20


@dataclass(frozen=True)
class _Lists:
    """Codes that Komet lists; None: the list is not known."""

    #: Of active carriers.
    carriers: frozenset[str] | None
    box_types: frozenset[str] | None


def run_checks(settings: Settings) -> Iterator[Json]:
    """Check everything that can be checked, in the order in which it is needed.

    Asks each Komet company four times (its four read methods), within the request budget.
    """
    try:
        connections = load_connections(settings.connections)
        yield _line("connections file", f"{settings.connections} names {len(connections)} connection(s)")
    except Problem as problem:
        connections = []
        yield _line("connections file", str(problem), fix="mend the file")
    try:
        urls = resolve_services(settings)
    except Problem as problem:
        yield _line("services", str(problem), fix="set both URLs, or start `axkomet up`")
        return
    broken = check_redis(urls.redis_url)
    yield _line("Redis", broken or "answers", fix="start it, or mend AXKOMET_REDIS_URL" if broken else None)
    try:
        ledger = open_ledger(urls.database_url)
    except Problem as problem:
        yield _line("database", str(problem), fix="start it, mend AXKOMET_DATABASE_URL, or run `axkomet db upgrade`")
        return
    yield _line("database", "answers, and its schema serves this version")
    with ledger.sessions() as session:
        yield _clock("database clock", now(session), datetime.now(UTC), "this machine's")
    redis = Redis.from_url(urls.redis_url, socket_timeout=2, socket_connect_timeout=2)
    for each in connections:
        yield from _connection(settings, each, ledger, redis)


def _connection(settings: Settings, each: ConnectionSettings, ledger: Ledger, redis: "Redis") -> Iterator[Json]:
    name = each.name
    try:
        tokens = tokens_of(settings, each)
    except Problem as problem:
        yield _line(f"{name}: tokens", str(problem), fix="set the variable or mend the file that the connection names")
        return
    try:
        id_ = id_of_connection(ledger, each) or 0
    except Problem as problem:
        yield _line(f"{name}: ledger", str(problem), fix="give it another name")
        return
    connection = make_connection(id_, each, tokens, settings, ledger.sessions, redis)
    try:
        yield from _axerrio(connection, ledger.sessions)
        lists = yield from _komet(connection)
    finally:
        connection.komet.close()
        connection.axerrio.close()
    with ledger.sessions() as session:
        if lists.carriers is None or lists.box_types is None:
            lists = _as_last_read(session, id_, lists)
        yield from _write_methods(session, connection)
        yield from _references(each, lists, settings.connections)
        yield from _held(session, connection, lists, settings.connections)


def _axerrio(connection: Connection, sessions: sessionmaker[Session]) -> Iterator[Json]:
    name = f"{connection.settings.name}: Axerrio"
    try:
        identity = connection.axerrio.identity()
    except ClientError as error:
        yield _line(name, error.detail, fix="look at base_url, token and tenant under [connection.axerrio]")
        return
    wanted, is_called = connection.settings.axerrio.tenant, identity.tenant_id or "without a name"
    if wanted is not None and identity.tenant_id != wanted:
        yield _line(name, f"answers as tenant {is_called}, not {wanted}", fix="mend the token or the tenant")
    elif not is_time_zone(identity.time_zone):
        said = f"names the time zone {identity.time_zone or 'of nowhere'}, which is none that we know"
        yield _line(name, said, fix="have the adapter name one such as Europe/Amsterdam")
    else:
        yield _line(name, f"{identity.name}, tenant {is_called}, {identity.time_zone}")
    if identity.clock is not None:
        with sessions() as session:
            yield _clock(f"{name} clock", identity.clock, now(session), "the database's")


def _clock(name: str, theirs: datetime, ours: datetime, whose: str) -> Json:
    ahead = theirs - ours
    if abs(ahead) <= _SKEW:
        return _line(name, f"agrees with {whose}")
    seconds = abs(ahead).total_seconds()
    where = "ahead of" if ahead > timedelta() else "behind"
    return _line(name, f"is {seconds:.0f} s {where} {whose}", fix=_NTP)


# -- Komet -----------------------------------------------------------------------------------------------------


def _komet(connection: Connection) -> Generator[Json, None, _Lists]:
    komet, today = connection.komet, date.today()  # noqa: DTZ011 - any day serves to ask for the right
    reads: dict[str, Callable[[], Listing[Any]]] = {
        "boxtype.list": komet.list_box_types,
        "carrier.list": komet.list_carriers,
        "prebook.details.list": lambda: komet.list_prebooks(truck_date=today),
        "purchase.order.list": lambda: komet.list_purchase_orders(ship_date=today),
    }
    found: dict[str, Sequence[Any]] = {}
    for method, read in reads.items():
        name = f"{connection.settings.name}: Komet {method}"
        try:
            found[method] = read().records
            yield _line(name, "allowed")
        except Refused as error:
            fix = _OF_REFUSAL.get(error.kind, "mend what Komet names, and try again")
            yield _line(name, error.detail, fix=fix.format(method=method))
        except NoTurn as error:
            yield _line(name, error.detail, fix="try again: the workers ask Komet as often as they may")
        except NoBudget as error:
            yield _line(name, error.detail, fix="wait, or raise daily_requests if the company pays for more users")
        except ClientError as error:
            yield _line(name, error.detail, fix="look at base_url under [connection.komet], and at the network")
    carriers, box_types = found.get("carrier.list"), found.get("boxtype.list")
    return _Lists(
        frozenset(each.code for each in carriers if each.active) if carriers else None,
        frozenset(each.code for each in box_types) if box_types else None,
    )


def _as_last_read(session: Session, connection_id: int, lists: _Lists) -> _Lists:
    """With the lists that could not be read now as the workers read them last."""
    known = catalogue(session, connection_id)
    carriers = frozenset(code for code, each in known.carriers.items() if each.active) or None
    return _Lists(lists.carriers or carriers, lists.box_types or frozenset(known.box_types) or None)


def _write_methods(session: Session, connection: Connection) -> Iterator[Json]:
    """A write is not made to try it: what Komet said to the last one tells."""
    paused = select(PausedMethod).where(
        PausedMethod.connection_id == connection.id, PausedMethod.paused_since.is_not(None)
    )
    stopped = {each.method: each for each in session.scalars(paused)}
    for kind in Kind:
        system, _, method = kind.value.partition(".")
        if system != "komet":
            continue
        name, tick = f"{connection.settings.name}: Komet {method}", _TICK.format(method=method)
        answered = select(Write).where(
            Write.connection_id == connection.id,
            Write.kind == kind,
            Write.state.in_((WriteState.DONE, WriteState.REFUSED)),
        )
        last = session.scalar(answered.order_by(Write.id.desc()).limit(1))
        row = stopped.get(kind.value)
        if row is not None:
            since = f"refused to our token since {row.paused_since:%Y-%m-%d %H:%M} UTC: {row.words}"
            tries = f"`axkomet poll {connection.settings.name}` then tries it at once"
            yield _line(name, since, fix=f"{tick}; {tries}")
        elif last is None:
            yield _line(name, "never called yet")
        elif last.state is WriteState.DONE:
            yield _line(name, f"last answer: done, {_minute(last.settled_at)}")
        else:
            said = f"last answer: refused, {_minute(last.settled_at)}: {last.error}"
            yield _line(name, said, fix=tick if last.refusal == RefusalKind.RIGHT else None)


# -- the connections file against Komet's lists --------------------------------------------------------------------


def _references(each: ConnectionSettings, lists: _Lists, file: Path) -> Iterator[Json]:
    yield _buyers(each, file)
    named = dict(each.carriers)
    if each.komet.inbound_carrier_code is not None:
        named["inbound_carrier_code"] = each.komet.inbound_carrier_code
    yield from _codes(each.name, "carriers", named, lists.carriers, "active carrier", file)
    yield from _codes(each.name, "packings", each.packings, lists.box_types, "box type", file)


def _buyers(each: ConnectionSettings, file: Path) -> Json:
    name, table = f"{each.name}: buyers", f"[connection.buyers] of {each.name} in {file}"
    pairs = [(buyer, customer.code) for buyer, customer in each.buyers.items()]
    blank = [buyer for buyer, code in pairs if not buyer.strip() or buyer != buyer.strip() or code != code.strip()]
    if blank:
        fix = f"take the blanks out of it under {table}, {_RESTART}"
        return _line(name, f"buyer {blank[0]!r} or its customer has blanks around it", fix=fix)
    if not pairs and each.default_buyer is None:
        fix = f'add a line such as MIAFLOWERS = "C100" under {table}, {_RESTART}'
        return _line(name, "no buyer is mapped, so that no order can go", fix=fix)
    return _line(
        name,
        f"{len(pairs)} mapped; whether Komet has their customers cannot be checked, since a vendor token may not list "
        "them: the first prebook of each tells",
    )


def _codes(
    connection: str, table: str, mapping: Mapping[str, str], listed: frozenset[str] | None, what: str, file: Path
) -> Iterator[Json]:
    """A line for each code that Komet does not list, or one for the whole table."""
    name = f"{connection}: {table}"
    if listed is None:
        yield _line(name, f"cannot be checked: Komet's list of {what}s was never read")
        return
    wrong = {ours: theirs for ours, theirs in mapping.items() if theirs not in listed}
    for ours, theirs in wrong.items():
        where = "[connection.komet]" if ours == "inbound_carrier_code" else f"[connection.{table}]"
        fix = f"under {where} of {connection} in {file} set {ours} to one of {_some(listed)}, {_RESTART}"
        yield _line(name, f"{ours} is {theirs} there, and Komet lists no {what} {theirs}", fix=fix)
    if not wrong:
        yield _line(name, f"{len(mapping)} mapped, and Komet lists each of them; any other goes by its own code")


def _held(session: Session, connection: Connection, lists: _Lists, file: Path) -> Iterator[Json]:
    """Orders that wait for a key of the connections file: a line for each key."""
    waiting = (
        select(Order)
        .where(Order.connection_id == connection.id, Order.reason_code == HoldCode.UNMAPPED_REFERENCE)
        .order_by(Order.departure_date, Order.id)
    )
    groups: dict[tuple[str | None, str | None], list[Order]] = {}
    for row in session.scalars(waiting):
        fix = _missing(session, connection, row, lists)
        groups.setdefault((row.reason, fix), []).append(row)
    name = connection.settings.name
    for (reason, fix), rows in groups.items():
        when = rows[0].departure_date
        add = f"{fix} of {name} in {file}, {_RESTART}" if fix else "it is mapped now: start the workers again"
        yield _line(f"{name}: unmapped", f"{len(rows)} order(s) wait, the first leaves {when}: {reason}", fix=add)


def _missing(session: Session, connection: Connection, row: Order, lists: _Lists) -> str | None:
    """What to add to the connections file, so that an order can go on; None: nothing is missing in it."""
    settings, order = connection.settings, canonical(row)
    if row.origin == Origin.KOMET:
        known = catalogue(session, row.connection_id)
        if translated(session, connection, order, known.carriers).buyer_code:
            return None
        return f'add Axerrio\'s buyer = "{order.buyer_code}" under [connection.buyers], or a default_buyer,'
    if customer_of(connection, order) is None:
        return f'add {order.buyer_code} = "Komet\'s customer code" under [connection.buyers]'
    carrier = carrier_code_of(connection, order)
    if lists.carriers is not None and carrier is not None and carrier not in lists.carriers:
        return f"set {order.carrier_code} to one of {_some(lists.carriers)} under [connection.carriers]"
    for line in order.open_lines:
        if lists.box_types is not None and codes(settings.packings, line.packing_code) not in lists.box_types:
            return f"set {line.packing_code} to one of {_some(lists.box_types)} under [connection.packings]"
    return None


def _some(listed: Iterable[str]) -> str:
    ordered = sorted(listed)
    return ", ".join(ordered[:_MOST_CODES]) + (", …" if len(ordered) > _MOST_CODES else "")


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "-"


def _line(name: str, message: str, fix: str | None = None) -> Json:
    return {"name": name, "ok": fix is None, "message": message, "fix": fix}
