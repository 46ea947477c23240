"""A real Prometheus scrapes a running plant, and every query of the dashboard gives data. By `make ops-test`."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from models.states import Feed
from models.tables import Connection, Scope
from tasks import upstreams
from tests.ops.files import PROMETHEUS, alerts, queries
from tests.processes.conftest import make_plant, pytest_runtest_makereport
from tests.processes.plant import Plant
from tests.sync.test_upstreams import METHODS
from tests.world import Json, World
from worker.services import Child, free_port

__all__ = ["make_plant", "pytest_runtest_makereport"]

pytestmark = pytest.mark.skipif(
    not os.environ.get("AXKOMET_TEST_OPS"), reason="`make ops-test` runs it, with Debian's prometheus"
)
#: What Grafana fills in.
FILLED_IN = {"$connection": ".*", "$__rate_interval": "30s"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_has_nothing_to_say_against(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """One that scrapes every second what the configuration names, with rules that do not wait."""

    def __init__(self, folder: Path, target: str) -> None:
        folder.mkdir()
        rules = re.sub(r"^( +for): \w+$", r"\1: 0s", (PROMETHEUS / "alerts.yml").read_text("utf-8"), flags=re.MULTILINE)
        (folder / "alerts.yml").write_text(rules, "utf-8")
        config = (PROMETHEUS / "prometheus.yml").read_text("utf-8").replace("30s", "1s")
        assert "127.0.0.1:9464" in config
        (folder / "prometheus.yml").write_text(config.replace("127.0.0.1:9464", target), "utf-8")
        self.address = f"127.0.0.1:{free_port()}"
        self.child = Child("prometheus", folder)
        self.child.start(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
                "--log.level=warn",
            ],
            os.environ,
            cwd=folder,
        )

    def get(self, path: str, **params: str) -> Any:
        """What its API says; None while it does not answer."""
        try:
            answer = httpx.get(f"http://{self.address}/api/v1/{path}", params=params)
        except httpx.TransportError:
            return None
        assert answer.status_code in (200, 503), answer.text
        return answer.json()["data"] if answer.status_code == 200 else None

    def ask(self, expr: str) -> list[Json]:
        """The series that a query gives now."""
        for name, value in FILLED_IN.items():
            expr = expr.replace(name, value)
        found: list[Json] = (self.get("query", query=expr) or {"result": []})["result"]
        return found


@pytest.fixture
def watched(make_plant: Callable[..., Plant]) -> Iterator[tuple[Plant, Prometheus]]:
    """A plant with its metrics, and a Prometheus that scrapes them."""
    plant = make_plant()
    plant.children["metrics-0"] = Child("metrics-0", plant.folder)
    plant.start("metrics-0")
    prometheus = Prometheus(plant.folder / "prometheus", f"127.0.0.1:{plant.env['AXKOMET_METRICS_PORT']}")
    yield plant, prometheus
    prometheus.child.process.terminate()
    prometheus.child.process.wait(10)


@pytest.mark.timeout(600)
def test_every_query_of_the_dashboard_gives_data(watched: tuple[Plant, Prometheus], world: World) -> None:
    plant, prometheus = watched
    plant.wait_until(lambda: prometheus.ask("axkomet_healthy == 1"), 180, "a healthy plant")
    plant.earn_proof()
    assert_well(prometheus)
    make_trouble(plant, world)
    unanswered = dict.fromkeys(queries())

    def all_gave_data() -> bool:
        for title, expr, legend in list(unanswered):
            if found := prometheus.ask(expr):
                named = set(re.findall(r"\{\{(\w+)\}\}", legend))
                assert all(named <= each["metric"].keys() for each in found), (title, found)
                del unanswered[title, expr, legend]
        return not unanswered

    plant.wait_until(all_gave_data, 120, lambda: f"data for {list(unanswered)}")
    assert prometheus.get("label/connection/values") == ["miami"]
    expected = {
        "AxkometFeedFails",
        "AxkometFeedStopped",
        "AxkometLeavesUnsafe",
        "AxkometMethodRefused",
        "AxkometPaused",
        "AxkometUnhealthy",
    }
    plant.wait_until(lambda: expected <= firing(prometheus), 30, lambda: f"{expected - firing(prometheus)}")
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {each.name for each in alerts()}
    assert {rule["health"] for rule in rules} == {"ok"}


def assert_well(prometheus: Prometheus) -> None:
    """No alert fires, and promtool finds nothing to mend in what is scraped."""
    assert firing(prometheus) == set()
    (target,) = prometheus.get("targets")["activeTargets"]
    told = httpx.get(target["scrapeUrl"]).content
    linted = subprocess.run(["promtool", "check", "metrics"], input=told, capture_output=True)
    assert (linted.returncode, linted.stderr) == (0, b"")


def firing(prometheus: Prometheus) -> set[str]:
    return {each["labels"]["alertname"] for each in prometheus.get("alerts")["alerts"] if each["state"] == "firing"}


def make_trouble(plant: Plant, world: World) -> None:
    """What is empty where all is well."""
    world.fault("html", "GET /labels/sync", system="axerrio")
    world.settings(rights=[each for each in METHODS if each != "purchase.order.create"], right_failure="http403")
    unknown = [world.line("1", article={"key": "A-9", "code": "NEW1", "description": "Something new"})]
    leaving = {"departureDate": world.day(1), "truckDate": world.day(3)}
    world.place(lines=unknown, **leaving)
    for _ in range(3):
        world.place()
    with plant.sessions.begin() as session:
        session.execute(update(Scope).where(Scope.feed == Feed.SHIPMENTS).values(cursor=10**9))

    def has_come() -> bool:
        return bool(
            tells(plant, "axkomet_method_paused{")
            and tells(plant, 'axkomet_feed_stopped{connection="miami",feed="shipments"} 1.0')
            and tells(plant, 'axkomet_orders{connection="miami",state="mapping_required"} 1.0')
        )

    plant.wait_until(has_come, 120, "trouble of all kinds")
    plant.work(4)  # so that what is counted is seen to grow
    with plant.sessions.begin() as session:
        connection_id = session.scalars(select(Connection.id)).one()
        upstreams.pause(session, connection_id, "ann", "stock-taking")


def tells(plant: Plant, line: str) -> bool:
    return line in httpx.get(f"http://127.0.0.1:{plant.env['AXKOMET_METRICS_PORT']}/metrics").text
