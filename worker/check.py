"""`axkomet check`: settings, services and each connection, a line for each, with what to do for each that fails."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from redis import Redis

from clients.errors import ClientError, NoBudget, RefusalKind, Refused
from tasks.connection import Connection, ConnectionSettings, register
from worker.assembly import Ledger, check_redis, make_connection, open_ledger
from worker.connections import load_connections, read_token
from worker.problems import Problem
from worker.settings import Settings, resolve_services

Json = dict[str, Any]

#: Clocks further apart than this make logs hard to read; nothing depends on them.
_SKEW = timedelta(seconds=60)
_TICK = "tick the method {method} for the vendor token in Komet (Setup, Settings, Integrations, Tokens)"


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
    yield _line("database", "answers, and its schema is of this version")
    redis = Redis.from_url(urls.redis_url, socket_timeout=2, socket_connect_timeout=2)
    for each in connections:
        yield from _connection(settings, each, ledger, redis)


def _connection(settings: Settings, each: ConnectionSettings, ledger: Ledger, redis: "Redis") -> Iterator[Json]:
    name = each.name
    try:
        tokens = (
            read_token(settings.connections, name, "Komet", each.komet),
            read_token(settings.connections, name, "Axerrio", each.axerrio),
        )
    except Problem as problem:
        yield _line(f"{name}: tokens", str(problem), fix="set the variable or mend the file that the connection names")
        return
    with ledger.sessions.begin() as session:
        row = register(session, each)
    connection = make_connection(row, each, tokens, settings, ledger.sessions, redis)
    try:
        yield _axerrio(connection)
        yield from _komet(connection)
    finally:
        connection.komet.close()
        connection.axerrio.close()


def _axerrio(connection: Connection) -> Json:
    name = f"{connection.settings.name}: Axerrio"
    try:
        identity = connection.axerrio.identity()
    except ClientError as error:
        return _line(name, error.detail, fix="look at base_url, token and tenant under [connection.axerrio]")
    wanted = connection.settings.axerrio.tenant
    if wanted is not None and identity.tenant_id != wanted:
        return _line(name, f"answers as tenant {identity.tenant_id}, not {wanted}", fix="mend the token or the tenant")
    skew = abs(identity.clock - datetime.now(UTC)) if identity.clock else timedelta()
    if skew > _SKEW:
        seconds = f"{skew.total_seconds():.0f}"
        return _line(name, f"its clock and ours differ by {seconds} s", fix="set this machine's clock by NTP")
    return _line(name, f"{identity.name}, tenant {identity.tenant_id}, {identity.time_zone}")


def _komet(connection: Connection) -> Iterator[Json]:
    komet, today = connection.komet, date.today()  # noqa: DTZ011 - any day serves to ask for the right
    reads: dict[str, Callable[[], object]] = {
        "boxtype.list": komet.list_box_types,
        "carrier.list": komet.list_carriers,
        "prebook.details.list": lambda: komet.list_prebooks(truck_date=today),
        "purchase.order.list": lambda: komet.list_purchase_orders(ship_date=today),
    }
    for method, read in reads.items():
        name = f"{connection.settings.name}: Komet {method}"
        try:
            read()
            yield _line(name, "allowed")
        except Refused as error:
            is_token = error.kind is RefusalKind.TOKEN
            yield _line(name, error.detail, fix="mend the token" if is_token else _TICK.format(method=method))
        except NoBudget as error:
            yield _line(name, error.detail, fix="wait, or raise daily_requests if the company pays for more users")
        except ClientError as error:
            yield _line(name, error.detail, fix="look at base_url under [connection.komet], and at the network")


def _line(name: str, message: str, fix: str | None = None) -> Json:
    return {"name": name, "ok": fix is None, "message": message, "fix": fix}
