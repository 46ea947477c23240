"""Workers on two hosts, and what lies between them and the rest: cut silently, healed, nothing lost or doubled.

host A   PostgreSQL, Valkey, a beat and a worker
host B   a beat and a worker; it is cut off from the broker, the ledger and both upstreams, one after the other
host C   the sandbox, both upstreams

make hosts-test
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import func, select

from benchmarks.site import Site
from benchmarks.storm import rage, troubles
from benchmarks.storm_weather import Weather
from models.database import make_engine, now, upgrade
from models.tables import Order, Process, Scope
from tests.hosts.network import Host, Network
from tests.processes.plant import Processes, assert_all_once, environment
from worker.supervisor import axkomet_command

pytestmark = pytest.mark.skipif(
    "AXKOMET_TEST_HOSTS" not in os.environ, reason="network namespaces: `make hosts-test` runs it"
)

ROOT = Path(__file__).parents[2]
#: Seconds before the first cut, of each cut, and from one heal to the next cut. In a minute TCP falls silent for longer
#: than half of one: what waits for it to send again waits on after the heal.
QUIET, CUT, BETWEEN = 15.0, 60.0, 30.0
#: After a heal host B must be at it again within so many seconds.
BOUND = 20.0
ORDERS, SEED = 36, 5
#: A call ends within 5 s, the silence of the database is noticed within 15 s, and settling is tried for 5 s more.
ENDS_WITHIN = 35.0
#: A quarter of the usual deadline of a call.
SETTINGS = {"AXKOMET_HTTP_TIMEOUT_SECONDS": "5", "AXKOMET_SWEEP_SECONDS": "1", "AXKOMET_POLL_SECONDS": "2"}


@dataclass
class Hosts:
    """The machines, and what runs on them."""

    network: Network
    a: Host
    b: Host
    c: Host
    site: Site
    ports: Mapping[str, tuple[Host, list[int]]] = field(default_factory=dict)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with contextlib.ExitStack() as stack:
        network = Network()
        stack.callback(network.close)
        a, b, c = (network.add() for _ in range(3))

        def serve(host: Host, what: str) -> dict[str, str]:
            program = host.command(sys.executable, "-m", "tests.hosts.serve", what, host.address, str(tmp_path))
            process = subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            stack.callback(process.communicate)  # ends its input, and waits
            if what == "sandbox":
                stack.callback(process.terminate)
            assert process.stdout
            told: dict[str, str] = json.loads(process.stdout.readline())
            return told

        services, addresses = serve(a, "services"), serve(c, "sandbox")
        addresses = {name: url.replace("127.0.0.1", c.address) for name, url in addresses.items()}
        engine = make_engine(services["database_url"])
        upgrade(engine)
        engine.dispose()
        http = stack.enter_context(httpx.Client(timeout=30))
        nobody = cast("Any", None)  # the site's own servers, which no weather of ours starts or stops
        site = Site(tmp_path, nobody, nobody, services["database_url"], services["redis_url"], addresses, http)

        def port(url: str) -> int:
            return urlsplit(url).port or 0

        ways = {
            "the broker": (a, [port(site.redis_url)]),
            "the ledger": (a, [port(site.database_url)]),
            "both upstreams": (c, [port(addresses["komet"]), port(addresses["axerrio"])]),
        }
        yield Hosts(network, a, b, c, site, ways)


@dataclass
class Cut:
    """One way of host B that was cut."""

    way: str
    at: float
    #: Moments of the ledger's clock.
    healed_at: datetime | None = None
    healed: float = 0.0
    #: Who had a row in his hands when it was healed.
    holders: set[str] = field(default_factory=set)
    #: From the heal until host B was at it again, and nobody held what was held then.
    seconds: float | None = None
    #: What was not yet, when it was looked at last.
    waits_for: str = ""


class Cuts(Weather):
    """Cuts one way after the other, and measures what comes after each heal."""

    def __init__(self, hosts: Hosts, processes: "OnTwoHosts", seed: int) -> None:
        super().__init__(hosts.site, processes, seed)
        self.faults = []
        self._hosts = hosts
        self._on_b = processes
        self._began = time.monotonic()
        self.cuts = [Cut(way, QUIET + n * (CUT + BETWEEN)) for n, way in enumerate(hosts.ports)]
        self._open: Cut | None = None
        self._written = 0

    def blow(self) -> None:
        now_at = time.monotonic() - self._began
        if self._open is None:
            due = next((each for each in self.cuts if each.healed_at is None and now_at >= each.at), None)
            if due is not None:
                host, ports = self._hosts.ports[due.way]
                self._hosts.network.cut(self._hosts.b, host, ports)
                self.counts[f"host B cut off from {due.way}"] += 1
                self._open = due
        elif self._open.healed_at is None:
            if now_at >= self._open.at + CUT:
                self._heal(self._open)
        else:
            self._open.waits_for = self._waits_for(self._open)
            if not self._open.waits_for:
                self._open.seconds = time.monotonic() - self._open.healed
                self._open = None
            elif time.monotonic() - self._open.healed > 2 * BOUND:
                self._open = None

    def calm(self) -> None:
        self._hosts.network.heal()

    def _heal(self, cut: Cut) -> None:
        self._hosts.network.heal()
        cut.healed = time.monotonic()
        self._written = self._on_b.writes_of_b()
        with self._processes.sessions() as session:
            cut.healed_at = now(session)
            for row in (Order, Scope):
                cut.holders |= set(session.scalars(select(row.lease_owner).where(row.lease_owner.is_not(None))))

    def _waits_for(self, cut: Cut) -> str:
        """What is not on its way yet, in a few words."""
        with self._processes.sessions() as session:
            b_is_seen = select(func.max(Process.seen_at)).where(
                Process.name.startswith(f"worker-{self._on_b.pid_of_b}@")
            )
            seen_at = session.scalar(b_is_seen)
            if cut.healed_at is None or seen_at is None or seen_at < cut.healed_at:
                return "host B is not seen"
            for row in (Order, Scope):
                held = select(func.count()).where(row.lease_owner.in_(cut.holders))
                if count := session.scalar(held):
                    return f"{count} {row.__tablename__} are still in the hands of who had them"
        return "" if self._on_b.writes_of_b() > self._written else "host B writes nothing"


class OnTwoHosts(Processes):
    """The first worker and the first beat on host A, the others on host B."""

    hosts: Hosts

    def start(self, name: str) -> None:
        host = self.hosts.a if name.endswith("-0") else self.hosts.b
        command = host.command(*axkomet_command(name.partition("-")[0]))
        self.children[name].start(command, self.env | SETTINGS, cwd=self.folder)

    @property
    def pid_of_b(self) -> int:
        return self.children["worker-1"].process.pid

    def writes_of_b(self) -> int:
        """How many writes its worker has made."""
        return self.children["worker-1"].log.read_text().count('"event": "write"')


def processes_on(hosts: Hosts) -> Callable[..., OnTwoHosts]:
    """Makes them."""

    def make(*arguments: Any, **counts: Any) -> OnTwoHosts:
        processes = OnTwoHosts(*arguments, **counts)
        processes.hosts = hosts
        return processes

    return make


@pytest.mark.timeout(900)
def test_a_host_is_cut_off_from_one_after_the_other(hosts: Hosts) -> None:
    made: list[Cuts] = []

    def make_weather(_: Site, processes: Processes, seed: int) -> Weather:
        assert isinstance(processes, OnTwoHosts)
        made.append(Cuts(hosts, processes, seed))
        return made[0]

    storm = rage(
        hosts.site,
        orders=ORDERS,
        seconds=QUIET + 3 * (CUT + BETWEEN),
        seed=SEED,
        limit=300,
        make_processes=processes_on(hosts),
        make_weather=make_weather,
    )
    (weather,) = made
    for cut in weather.cuts:
        after = f"{cut.seconds:.1f} s" if cut.seconds is not None else f"not yet: {cut.waits_for}"
        print(f"Host B was cut off from {cut.way} for {CUT:g} s; it was at it again after {after}.")  # noqa: T201
    print(f"{ORDERS} orders, at rest {storm.rest_seconds or -1:.0f} s after the last of it.")  # noqa: T201
    print("\n".join(storm.evidence))  # noqa: T201
    assert not list(troubles(storm))
    assert not storm.deaths
    assert len(storm.people.expected) == ORDERS
    assert all(cut.seconds is not None and cut.seconds < BOUND for cut in weather.cuts), weather.cuts


@pytest.mark.timeout(300)
def test_a_worker_ends_that_is_cut_off_from_the_ledger(hosts: Hosts) -> None:
    """What came of its calls it cannot write down: the other host finds it in Komet."""
    site = hosts.site
    world = site.world()
    entry = world.entry()
    for system in ("komet", "axerrio"):
        entry[system]["allow_http"] = True
    urls = {"AXKOMET_DATABASE_URL": site.database_url, "AXKOMET_REDIS_URL": site.redis_url}
    processes = processes_on(hosts)(site.folder, environment(site.folder, world, entry, **urls), workers=2, beats=2)
    try:
        for name in ("beat-0", "worker-1"):
            processes.start(name)
        world.fault("slow", "prebook.create", seconds=3)
        keys = [world.place() for _ in range(3)]
        until(lambda: world.requests("prebook.create") == len(keys))
        hosts.network.cut(hosts.b, *hosts.ports["the ledger"])
        told_at = time.monotonic()
        worker = processes.children["worker-1"].process
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(ENDS_WITHIN + 30) == 0
        seconds = time.monotonic() - told_at
        print(f"Told to end with calls in the air and the ledger cut off, it ended after {seconds:.1f} s.")  # noqa: T201
        assert seconds < ENDS_WITHIN
        hosts.network.heal()
        processes.start("worker-0")
        until(lambda: all((processes.order(key) or {}).get("state") == "ordered" for key in keys))
        assert_all_once(world, keys)
        assert world.requests("prebook.create") == len(keys)
    finally:
        processes.stop()


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come within {seconds} s"
        time.sleep(0.2)
