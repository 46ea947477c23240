"""`axkomet metrics`: what `axkomet status` says, as figures for Prometheus, and how long the queues are."""

import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError
from sqlalchemy.exc import SQLAlchemyError

from tasks.celery_tasks import MAINTENANCE, OBSERVE, ORDERS
from worker.problems import Problem
from worker.settings import ServiceUrls, Settings
from worker.up import check_metrics_port, look

log = structlog.get_logger()
Json = dict[str, Any]
#: Label values and the figure.
Sample = tuple[tuple[str, ...], float]

#: Seconds that the broker has to say how long a queue is.
_PATIENCE = 2.0
#: The status of a whole of which nothing can be said.
UNKNOWN: Json = {"healthy": False, "connections": [], "workers": 0, "beat": {"last_tick_at": None}}


class Figures(Collector):
    """Figures of the whole, read whenever Prometheus asks."""

    def __init__(self, settings: Settings, urls: ServiceUrls) -> None:
        self._settings = settings
        self._redis = Redis.from_url(urls.redis_url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE)

    def collect(self) -> Iterator[Metric]:
        """All that can be said now; where a service is away, that the whole is not healthy."""
        try:
            document = look(self._settings)
        except (Problem, SQLAlchemyError) as error:
            log.warning("no figures", error=type(error).__name__)
            document = UNKNOWN
        try:
            queues = {queue: int(self._redis.llen(queue)) for queue in (OBSERVE, ORDERS, MAINTENANCE)}
        except RedisError as error:
            log.warning("no queue lengths", error=type(error).__name__)
            queues = {}
        yield from figures(document, queues)


def figures(status: Json, queues: Mapping[str, int]) -> Iterator[Metric]:
    """The status document and the lengths of queues as metrics; what is not known of something is left out."""
    waiting = [((queue,), length) for queue, length in queues.items()]
    yield _family("axkomet_queue_messages", "Messages that wait in the broker.", ("queue",), waiting)
    yield _family("axkomet_healthy", "1 where `axkomet status` says healthy, else 0.", (), [((), status["healthy"])])
    yield _family("axkomet_workers", "Workers that were seen lately.", (), [((), status["workers"])])
    tick = _seconds(status["beat"]["last_tick_at"])
    yield _family(
        "axkomet_beat_last_tick_timestamp_seconds", "When beat ticked last.", (), [((), tick)] if tick else []
    )
    connections: list[Json] = status["connections"]

    def of_each(name: str, says: str, figure: Callable[[Json], float | None]) -> Metric:
        known = [((each["name"],), value) for each in connections if (value := figure(each)) is not None]
        return _family(name, says, ("connection",), known)

    def of_parts(name: str, says: str, part: str, figure: Callable[[Json], Iterable[tuple[str, float]]]) -> Metric:
        known = [((each["name"], word), value) for each in connections for word, value in figure(each)]
        return _family(name, says, ("connection", part), known)

    yield of_parts("axkomet_orders", "Orders, by their state.", "state", lambda each: each["orders"].items())
    yield of_parts(
        "axkomet_orders_waiting",
        "Orders that wait, by the code of their reason.",
        "reason",
        lambda each: each["reasons"].items(),
    )
    yield of_each(
        "axkomet_oldest_due_seconds",
        "How long the order has been due that was due first; none is due: 0.",
        lambda each: each["oldest_due_seconds"] or 0.0,
    )
    yield of_each("axkomet_writes_in_doubt", "Writes whose outcome nobody knows yet.", lambda each: each["in_doubt"])
    yield of_each("axkomet_unreadable_records", "Records that could not be read.", lambda each: each["unreadable"])
    yield of_parts(
        "axkomet_feed_last_success_timestamp_seconds",
        "When a feed was last read well.",
        "feed",
        lambda each: [
            (feed["name"], at) for feed in each["feeds"] if (at := _seconds(feed["last_success_at"])) is not None
        ],
    )
    yield of_parts(
        "axkomet_upstream_closed",
        "1 for a system that is not called now: away, its limit is used up, the token is refused, or paused.",
        "system",
        lambda each: [(closed["system"], 1.0) for closed in each["upstreams"]],
    )
    yield of_parts(
        "axkomet_method_paused",
        "1 for a method that our token has no right to.",
        "method",
        lambda each: [(paused["method"], 1.0) for paused in each["paused_methods"]],
    )
    yield of_each(
        "axkomet_komet_requests_limit", "Komet requests of any 24 hours.", lambda each: each["budget"]["limit"]
    )
    yield of_each(
        "axkomet_komet_requests_left", "Those of them that are left for writes.", lambda each: each["budget"]["left"]
    )


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
        Problem: the port is taken.
    """
    port = settings.metrics_port
    check_metrics_port(port)
    registry = CollectorRegistry()
    registry.register(Figures(settings, urls))
    server, thread = start_http_server(port, str(settings.listen), registry)
    log.info("metrics", address=f"http://{settings.listen}:{port}/metrics")
    for ends in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ends, lambda *_: server.shutdown())
    thread.join()
