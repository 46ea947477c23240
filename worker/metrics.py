"""`axkomet metrics`: what `axkomet status` and `axkomet today` say as figures for Prometheus, and more of that kind.

A scrape asks the ledger some twenty questions, however many connections there are. Of tables that grow with history
only orders are counted as a whole, by their state, from an index.
"""

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.canonical import Json
from models.states import HoldCode, OrderState
from models.tables import Connection, RequestCount
from tasks.connection import ConnectionSettings
from tasks.queues import MAINTENANCE, OBSERVE, ORDERS
from tasks.runtime import Timing
from tasks.upstreams import AWAY, AXERRIO, KOMET, LIMIT, PERSON, TOKEN
from worker.assembly import Ledger, open_ledger, timing_of
from worker.connections import load_connections
from worker.problems import Problem
from worker.services import check_port
from worker.settings import ServiceUrls, Settings
from worker.status import status, unknown
from worker.today import EVERYBODY, turns

log = structlog.get_logger()
#: Label values and the figure.
Sample = tuple[tuple[str, ...], float]

#: Seconds that the broker has to say how long a queue is.
_PATIENCE = 2.0
#: Where the broker keeps what workers have taken and not acknowledged.
_TAKEN = "unacked"


@dataclass(frozen=True)
class Facts:
    """What the figures are made of. As it is made without arguments nothing can be said of anything."""

    status: Json = field(default_factory=unknown)
    #: By connection and who: open orders, and of them those that leave today or tomorrow and are not safe.
    turns: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    #: By connection, method and outcome: requests, and seconds that they took.
    requests: Mapping[tuple[str, str, str], tuple[int, float]] = field(default_factory=dict)
    #: By queue; None: the broker does not answer.
    queues: Mapping[str, int] | None = None
    #: Messages that workers have taken and not acknowledged.
    taken: int = 0
    knows_ledger: bool = False
    timing: Timing = field(default_factory=Timing)


class Figures(Collector):
    """Figures of the whole, read whenever Prometheus asks."""

    def __init__(self, settings: Settings, urls: ServiceUrls) -> None:
        self._settings = settings
        self._urls = urls
        self._redis = Redis.from_url(urls.redis_url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)
        #: Reached by the first scrape that could.
        self.ledger: Ledger | None = None

    def collect(self) -> Iterator[Metric]:
        """All that can be said now; where a service is away, that the whole is not healthy."""
        known: Json = {"timing": timing_of(self._settings)}
        connections = self._connections()
        try:
            # Kept, since an engine knows the statements that it compiled.
            self.ledger = self.ledger or open_ledger(self._urls.database_url)
            with self.ledger.sessions() as session:
                said = status(session, connections or (), known["timing"])
                if connections is None:  # and so none of them is known to be missing in it
                    said |= {"healthy": False, "forgotten": []}
                known |= {
                    "status": said,
                    "turns": turns(session),
                    "requests": _requests(session),
                    "knows_ledger": True,
                }
        except (Problem, SQLAlchemyError) as error:
            log.warning("no figures", error=type(error).__name__)
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for queue in _QUEUES:
                    pipeline.llen(queue)
                pipeline.hlen(_TAKEN)
                *lengths, taken = pipeline.execute()
            known |= {"queues": dict(zip(_QUEUES, lengths, strict=True)), "taken": taken}
        except RedisError as error:
            log.warning("no queue lengths", error=type(error).__name__)
        yield from figures(Facts(**known))

    def _connections(self) -> list[ConnectionSettings] | None:
        """Those of the connections file; None: it cannot be read as it is."""
        try:
            return load_connections(self._settings.connections)
        except Problem as problem:
            log.warning("no connections", error=str(problem))
            return None


_QUEUES = (OBSERVE, ORDERS, MAINTENANCE)


def _requests(session: Session) -> dict[tuple[str, str, str], tuple[int, float]]:
    """What all workers asked ever, by the name of the connection, method and outcome."""
    counted = select(
        Connection.name, RequestCount.method, RequestCount.outcome, RequestCount.count, RequestCount.seconds
    ).join(Connection, RequestCount.connection_id == Connection.id)
    return {
        (name, method, outcome): (count, seconds) for name, method, outcome, count, seconds in session.execute(counted)
    }


def figures(facts: Facts) -> Iterator[Metric]:
    """All metrics; what is not known of something is left out."""
    yield from _of_the_whole(facts)
    yield from _of_orders(facts)
    yield from _of_feeds(facts)
    yield from _of_systems(facts)


def _of_the_whole(facts: Facts) -> Iterator[Metric]:
    status, is_up = facts.status, facts.queues is not None
    healthy = status["healthy"] and is_up
    yield _family("axkomet_healthy", "1 where `axkomet status` says healthy, else 0.", (), [((), healthy)])
    services = [(("postgresql",), facts.knows_ledger), (("redis",), is_up)]
    yield _family("axkomet_service_up", "1 for a service that answers `axkomet metrics`.", ("service",), services)
    yield _family("axkomet_workers", "Workers that were seen lately.", (), [((), status["workers"])])
    tick = _seconds(status["beat"]["last_tick_at"])
    yield _family(
        "axkomet_beat_last_tick_timestamp_seconds", "When beat ticked last.", (), [((), tick)] if tick else []
    )
    yield _family(
        "axkomet_sweep_seconds", "Setting: from one tick of beat to the next.", (), [((), facts.timing.sweep)]
    )
    yield _family(
        "axkomet_poll_seconds", "Setting: from one read of a feed to the next.", (), [((), facts.timing.poll)]
    )
    waiting = [((queue,), length) for queue, length in (facts.queues or {}).items()]
    yield _family("axkomet_queue_messages", "Messages that wait in the broker.", ("queue",), waiting)
    taken = [((), facts.taken)] if is_up else []
    yield _family("axkomet_taken_messages", "Messages that workers have taken and are not done with.", (), taken)
    taken_up = [((each["name"],), 1.0) for each in status["connections"]]
    yield _family(
        "axkomet_connection_taken_up",
        "1 for a connection of the file that a worker has taken up, else 0.",
        ("connection",),
        [*taken_up, *(((name,), 0.0) for name in status["not_taken_up"])],
    )
    yield _family(
        "axkomet_forgotten_orders",
        "Open orders of a connection that is not in the connections file.",
        ("connection",),
        [((each["name"],), each["orders"]) for each in status["forgotten"]],
    )


def _of_orders(facts: Facts) -> Iterator[Metric]:
    connections: list[Json] = facts.status["connections"]
    yield _of_parts(
        connections,
        "axkomet_orders",
        "Orders, by their state.",
        "state",
        lambda each: [(state.value, each["orders"].get(state.value, 0)) for state in OrderState],
    )
    yield _of_parts(
        connections,
        "axkomet_orders_waiting",
        "Orders that wait, by the code of their reason.",
        "reason",
        lambda each: (dict.fromkeys(map(str, HoldCode), 0) | each["reasons"]).items(),
    )
    for place, (name, says) in enumerate(
        (
            ("axkomet_open_orders", "Orders that are not at their end, by whose turn they are."),
            (
                "axkomet_departing_orders",
                "Those of them that leave today or tomorrow and are not approved in both systems yet.",
            ),
        )
    ):

        def counts(each: Json, place: int = place) -> Iterator[tuple[str, float]]:
            return ((who, facts.turns.get((each["name"], who), (0, 0))[place]) for who in EVERYBODY)

        yield _of_parts(connections, name, says, "turn", counts)
    yield _of_each(
        connections,
        "axkomet_oldest_due_seconds",
        "How long the order has been due that was due first; none is due: 0.",
        lambda each: each["oldest_due_seconds"] or 0.0,
    )
    yield _of_each(
        connections, "axkomet_writes_in_doubt", "Writes whose outcome nobody knows yet.", lambda each: each["in_doubt"]
    )
    yield _of_each(
        connections,
        "axkomet_unreadable_records",
        "Records that could not be read.",
        lambda each: each["unreadable"],
    )


def _of_feeds(facts: Facts) -> Iterator[Metric]:
    def of_feeds(name: str, says: str, figure: Callable[[Json], float | None]) -> Metric:
        def known(each: Json) -> Iterator[tuple[str, float]]:
            return ((feed["name"], value) for feed in each["feeds"] if (value := figure(feed)) is not None)

        return _of_parts(facts.status["connections"], name, says, "feed", known)

    yield of_feeds(
        "axkomet_feed_last_success_timestamp_seconds",
        "When a feed was last read well; never: left out.",
        lambda feed: _seconds(feed["last_success_at"]),
    )
    yield of_feeds(
        "axkomet_feed_overdue_seconds",
        "How long the read of a feed has been due that was due first; none is due: 0.",
        lambda feed: feed["overdue_seconds"],
    )
    yield of_feeds("axkomet_feed_failures", "Reads of a feed in a row that failed.", lambda feed: feed["failures"])
    yield of_feeds(
        "axkomet_feed_stopped",
        "1 for a feed that stands still until it is reset, else 0.",
        lambda feed: feed["stopped"],
    )


def _of_systems(facts: Facts) -> Iterator[Metric]:
    connections: list[Json] = facts.status["connections"]
    for part, says in (
        ("limit", "Komet requests that the company has in any 24 hours."),
        ("used", "Komet requests of the last 24 hours, of all connections to the company."),
        ("left", "Komet requests that are left for writes."),
        ("left_for_reads", "Komet requests that are left for reads that no order waits for."),
    ):

        def of_budget(each: Json, part: str = part) -> float:
            return float(each["budget"][part])

        yield _of_each(connections, f"axkomet_komet_requests_{part}", says, of_budget)
    closed = {
        (each["name"], upstream["system"], upstream["closed_by"])
        for each in connections
        for upstream in each["upstreams"]
    }
    yield _family(
        "axkomet_upstream_closed",
        "1 for a system that is not called now, and why: `away`, its `limit` is used up, the `token` is refused, or "
        "paused by a `person`; else 0.",
        ("connection", "system", "reason"),
        [
            ((each["name"], system, reason), (each["name"], system, reason) in closed)
            for each in connections
            for system in (AXERRIO, KOMET)
            for reason in (AWAY, LIMIT, PERSON, TOKEN)
        ],
    )
    yield _of_parts(
        connections,
        "axkomet_method_paused",
        "1 for a method that our token has no right to; all others are left out.",
        "method",
        lambda each: [(paused["method"], 1.0) for paused in each["paused_methods"]],
    )
    requests = SummaryMetricFamily(
        "axkomet_request_duration_seconds",
        "Requests to both systems, and the time that they took: `done`, `refused`, `unanswered` or `not_sent`.",
        labels=("connection", "method", "outcome"),
    )
    for labels, (count, seconds) in facts.requests.items():
        requests.add_metric(labels, count, seconds)
    yield requests


def _of_each(connections: Iterable[Json], name: str, says: str, figure: Callable[[Json], float]) -> Metric:
    return _family(name, says, ("connection",), [((each["name"],), figure(each)) for each in connections])


def _of_parts(
    connections: Iterable[Json], name: str, says: str, part: str, figure: Callable[[Json], Iterable[tuple[str, float]]]
) -> Metric:
    known = [((each["name"], word), value) for each in connections for word, value in figure(each)]
    return _family(name, says, ("connection", part), known)


def _family(name: str, says: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=labels)
    for values, figure in samples:
        family.add_metric(values, float(figure))
    return family


def _seconds(time: str | None) -> float | None:
    return datetime.fromisoformat(time).timestamp() if time else None


def run_metrics(settings: Settings, urls: ServiceUrls) -> None:
    """Serve the figures until SIGTERM.

    Raises:
        Problem: the port is taken, or the address is not this machine's.
    """
    port = settings.metrics_port
    check_port(settings.listen, port, "the metrics", "AXKOMET_METRICS_PORT")
    registry = CollectorRegistry()
    registry.register(Figures(settings, urls))
    server, thread = start_http_server(port, str(settings.listen), registry)
    log.info("metrics", address=f"http://{settings.listen}:{port}/metrics")
    for ends in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ends, lambda *_: server.shutdown())
    thread.join()
