"""Whom a connection's Axerrio is: the tenant that it names, and the time zone in which departure dates are judged."""

import structlog
from sqlalchemy import select, update

from clients.errors import ClientError, NotSent, RefusalKind, Refused, Unanswered
from models.tables import Connection as ConnectionRow
from tasks.connection import Connection
from tasks.dates import is_time_zone
from tasks.runtime import Runtime

log = structlog.get_logger()


def time_zone_of(runtime: Runtime, connection: Connection) -> str:
    """Axerrio's time zone. Each process asks once who is there (`GET /identity`), before it takes anything from it.

    Where that is not answered, and was to an earlier process, it is believed to be the same.

    Raises:
        Refused: it is another tenant than the connection names, so that the token is the wrong one.
        Unanswered: it names a time zone that is none.
    """
    known = runtime.time_zones.get(connection.id)
    if known is not None:
        return known
    of_connection = ConnectionRow.id == connection.id
    with runtime.sessions.begin() as session:
        stored = session.scalar(select(ConnectionRow.axerrio_time_zone).where(of_connection))
    try:
        identity = connection.axerrio.identity()
    except (NotSent, Unanswered) as error:
        if stored is None:
            raise
        log.warning("not asked whose Axerrio it is", error=str(error))
        runtime.time_zones[connection.id] = stored
        return stored
    tenant, zone = connection.settings.axerrio.tenant, identity.time_zone
    if tenant is not None and identity.tenant_id != tenant:
        who = f"tenant {identity.tenant_id or 'without a name'}, not {tenant}"
        said = f"it answers as {who}: mend the token or the tenant"
        raise Refused("axerrio", "identity", said, RefusalKind.TOKEN)
    if not is_time_zone(zone):
        raise Unanswered("axerrio", "identity", f"it names the time zone {zone}, which is none that we know")
    with runtime.sessions.begin() as session:
        session.execute(update(ConnectionRow).where(of_connection).values(axerrio_time_zone=zone))
    runtime.time_zones[connection.id] = zone
    return zone


def be_sure(runtime: Runtime, connection: Connection) -> None:
    """Nothing is written to Axerrio before this process knows whose it is.

    Raises:
        NotSent: it does not know yet, or it is another tenant's.
    """
    try:
        time_zone_of(runtime, connection)
    except ClientError as error:
        raise NotSent(error.system, error.operation, error.detail) from None
