import threading
import time
from collections.abc import Callable

import fakeredis
import pytest
import redis

from clients import pacing
from clients.errors import NoTurn
from clients.pacing import MOST_PATIENCE, Pacer


class Broken:
    """A Redis that is away."""

    asked = 0

    def register_script(self, _: str) -> Callable[..., object]:
        def run(**arguments: object) -> object:
            self.asked += 1
            raise redis.ConnectionError("away")

        return run


def pacers(kind: str, count: int, per_second: float) -> list[Pacer]:
    if kind == "broken":
        return [Pacer(Broken(), "pace", per_second, "komet")] * count  # type: ignore[arg-type]
    server = fakeredis.FakeServer()
    return [Pacer(fakeredis.FakeRedis(server=server), "pace", per_second, "komet") for _ in range(count)]


both = pytest.mark.parametrize("kind", ["shared", "broken"])


@both
def test_all_who_share_a_key_keep_the_pace(kind: str) -> None:
    passed: list[float] = []

    def ask(pacer: Pacer) -> None:
        for _ in range(3):
            pacer.wait("boxtype.list", 5.0)
            passed.append(time.monotonic())

    threads = [threading.Thread(target=ask, args=(each,)) for each in pacers(kind, 3, 20.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 9
    assert 0.3 < max(passed) - min(passed) < 1.5  # the first one may be told late


@both
def test_whoever_cannot_wait_takes_no_slot(kind: str) -> None:
    (pacer,) = pacers(kind, 1, 2.0)
    pacer.wait("x", 0.0)
    for _ in range(5):
        with pytest.raises(NoTurn, match="its turn comes in 0") as caught:
            pacer.wait("x", 0.1)
        assert 0.1 < caught.value.retry_after <= 0.5
    began = time.monotonic()
    pacer.wait("x", 1.0)
    assert time.monotonic() - began < 0.6


def test_an_idle_time_is_not_saved_up() -> None:
    (pacer,) = pacers("shared", 1, 10.0)
    pacer.wait("x", 0.0)
    time.sleep(0.35)
    pacer.wait("x", 0.0)
    with pytest.raises(NoTurn):
        pacer.wait("x", 0.0)


@both
def test_nobody_holds_a_thread_for_long(kind: str) -> None:
    (pacer,) = pacers(kind, 1, 1 / (2 * MOST_PATIENCE))
    pacer.wait("x", 0.0)
    began = time.monotonic()
    with pytest.raises(NoTurn) as caught:
        pacer.wait("x", 3600.0)
    assert time.monotonic() - began < 1
    assert MOST_PATIENCE < caught.value.retry_after <= 2 * MOST_PATIENCE


def test_the_key_ends_by_itself() -> None:
    server = fakeredis.FakeRedis()
    Pacer(server, "pace", 10.0, "komet").wait("x", 0.0)
    assert 0 < int(server.pttl("pace")) <= 1200


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_pace_is_above_nothing(rate: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Pacer(fakeredis.FakeRedis(), "pace", rate, "komet")


def test_a_redis_that_is_away_is_asked_now_and_then_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is silent costs whoever asks two seconds."""
    monkeypatch.setattr(pacing, "_ALONE_SECONDS", 0.2)
    broken = Broken()
    pacer = Pacer(broken, "pace", 1000, "komet")  # type: ignore[arg-type]
    for _ in range(5):
        pacer.wait("boxtype.list", 5.0)
    assert broken.asked == 1
    time.sleep(0.25)
    pacer.wait("boxtype.list", 5.0)
    assert broken.asked == 2
