"""Observe: read one scope and store what it shows. One file for each feed."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import structlog

from clients.errors import ClientError, NoBudget, NoTurn, RefusalKind, Refused
from models.database import now
from models.states import Feed
from tasks import scopes, upstreams
from tasks.budget import PACED, pace_of, unblocking
from tasks.connection import Connection
from tasks.context import bound
from tasks.observe import articles, labels, prebooks, purchase_orders, reference, sales_orders, shipments
from tasks.runtime import NOTHING_DUE, Hint, Runtime
from tasks.scopes import Claim, ReadLostError
from tasks.upstreams import Call, Obstacles

log = structlog.get_logger()

#: A read for which there is no budget is tried again after so many seconds at the latest: it may have been raised.
_LONGEST_PAUSE = 3600.0

#: Reads a claimed scope, stores what it shows, and gives the hints to send after the commit.
Reader = Callable[[Runtime, Connection, Claim], list[Hint]]

READERS: dict[Feed, Reader] = {
    Feed.SALES_ORDERS: sales_orders.read,
    Feed.LABELS: labels.read,
    Feed.SHIPMENTS: shipments.read,
    Feed.ARTICLES: articles.read,
    Feed.KOMET_PREBOOKS: prebooks.read,
    Feed.KOMET_PURCHASE_ORDERS: purchase_orders.read,
    Feed.KOMET_REFERENCE: reference.read,
}


def observe(runtime: Runtime, scope_id: int) -> str:
    """Read a scope if it is due and nobody else does.

    Returns:
        What came of it, in a few words for people.
    """
    with runtime.sessions.begin() as session:
        claim = scopes.claim(session, scope_id, runtime.timing)
        if claim is None:
            return NOTHING_DUE
        words = scopes.words(claim)
        if claim.is_idle:
            scopes.rest(session, claim)
            return f"{words}: nobody waits for it any more"
        connection = runtime.connections[claim.connection_id]
        obstacles = Obstacles(session, connection.id, runtime.timing)
        obstacle = obstacles.hold_back(claim.feed)
        if obstacle is not None:
            scopes.put_off(session, claim, obstacle.until)
            return f"{words}: waits until {obstacle.name} may be called again"
        if claim.feed in PACED:
            claim = replace(claim, pace=pace_of(session, connection.settings))
    with bound(connection=connection.settings.name, scope=words):
        return _observe(runtime, connection, claim, obstacles)


def _observe(runtime: Runtime, connection: Connection, claim: Claim, obstacles: Obstacles) -> str:
    words = scopes.words(claim)
    try:
        with unblocking() if claim.is_urgent or obstacles.any_of(claim.feed) else nullcontext():
            hints = READERS[claim.feed](runtime, connection, claim)
    except ReadLostError:
        return f"{words}: it took too long, and somebody else read on"
    except ClientError as error:
        detail = _failed(runtime, connection, claim, error)
        log.warning("read failed", error=str(error))
        return f"{words}: {detail}"
    except Exception as error:
        with runtime.sessions.begin() as session:
            scopes.fail(session, claim, f"{type(error).__name__}, see the log", runtime.timing)
        raise
    runtime.send_hints(hints)
    if not obstacles.was_well(claim.feed):
        upstreams.read_well(runtime, connection, claim.feed, claim.began_at)
    return f"{words} read"


def _failed(runtime: Runtime, connection: Connection, claim: Claim, error: ClientError) -> str:
    """The read broke off: of what is closed or paused, and without budget, it is put off and counts as no failure."""
    method = f"{error.system}.{error.operation}"
    call = Call(connection, method, scopes.words(claim), claim.began_at, is_read=True)
    verdict = upstreams.judge(runtime, call, error)
    refused = isinstance(verdict.error, Refused) and verdict.error.kind is RefusalKind.RIGHT
    pause = None
    with runtime.sessions.begin() as session:
        retry_after = getattr(error, "retry_after", None) or 0.0
        if verdict.closed is not None:
            scopes.put_off(session, claim, verdict.closed.until, verdict.error.detail)
        elif isinstance(error, NoBudget | NoTurn):
            until = now(session) + timedelta(seconds=min(retry_after, _LONGEST_PAUSE))
            scopes.put_off(session, claim, until, error.detail)
        else:
            scopes.fail(session, claim, verdict.error.detail, runtime.timing, retry_after=retry_after)
        if refused:
            session.flush()
            pause = upstreams.refuse(session, call, verdict.error, runtime.timing)
    if pause is not None:
        upstreams.paused(runtime, call, pause)
    return verdict.error.detail
