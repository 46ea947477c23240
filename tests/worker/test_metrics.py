"""The metrics say what the status says."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from tests.sync.conftest import Ledger, ledger, make_ledger
from tests.world import World
from worker.desk import status
from worker.metrics import Figures, figures
from worker.settings import ServiceUrls, Settings

__all__ = ["ledger", "make_ledger"]


def told(metrics: Any) -> dict[str, float]:
    """Figures by their names, with the values of their labels in the order of the labels' names."""
    return {
        ":".join([sample.name, *(value for _, value in sorted(sample.labels.items()))]): sample.value
        for metric in metrics
        for sample in metric.samples
    }


def test_orders_feeds_and_budget(ledger: Ledger, world: World) -> None:
    ledger.earn_proof()
    world.place(lines=[world.line("1", article={"key": "A-9", "code": "NEW1", "description": "New one"})])
    ledger.live(300)
    with ledger.session() as session:
        document = status(session, [ledger.settings], ledger.timing)
    said = told(figures(document, {}))
    assert said["axkomet_orders:miami:ordered"] == said["axkomet_orders:miami:mapping_required"] == 1
    assert said["axkomet_orders_waiting:miami:mapping_required"] == 1
    assert said["axkomet_feed_last_success_timestamp_seconds:miami:sales-orders"] > 0
    budget = document["connections"][0]["budget"]
    assert said["axkomet_komet_requests_left:miami"] == budget["left"]
    assert said["axkomet_komet_requests_limit:miami"] == budget["limit"]
    assert said["axkomet_writes_in_doubt:miami"] == 0
    assert (said["axkomet_workers"], said["axkomet_healthy"]) == (0, 0)


def test_what_is_not_called_is_told(make_ledger: Callable[..., Ledger], world: World) -> None:
    ledger = make_ledger()
    world.settings(token_valid=False)
    ledger.live(120)
    with ledger.session() as session:
        said = told(figures(status(session, [ledger.settings], ledger.timing), {}))
    assert said["axkomet_upstream_closed:miami:komet"] == 1
    assert "axkomet_upstream_closed:miami:axerrio" not in said


@pytest.mark.parametrize("connections", ["", "[[connection]]\nname = 1"])
def test_where_nothing_can_be_said_the_whole_is_not_healthy(tmp_path: Any, connections: str) -> None:
    file = tmp_path / "connections.toml"
    file.write_text(connections)
    nowhere = ServiceUrls("postgresql+psycopg://nobody@127.0.0.1:1/nothing", "redis://127.0.0.1:1/0")
    settings = Settings.model_construct(
        home=tmp_path,
        connections=file,
        database_url=SecretStr(nowhere.database_url),
        redis_url=SecretStr(nowhere.redis_url),
    )
    registry = CollectorRegistry()
    registry.register(Figures(settings, nowhere))
    said = told(text_string_to_metric_families(generate_latest(registry).decode()))
    assert (said["axkomet_healthy"], said["axkomet_workers"]) == (0, 0)
