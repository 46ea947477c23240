"""Whoever can write into the broker can make a worker look, and nothing else: JSON alone is read."""

import base64
import itertools
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from redis import Redis

from tests.processes.plant import Plant, assert_all_once
from tests.world import World

QUEUES = ("observe", "orders", "maintenance")
WRONG_ARGUMENTS: list[Any] = [
    ["x"],
    ["'; DROP TABLE orders; --"],
    ["\ud800"],
    [10**40],
    [-1],
    [0],
    [1.5],
    [True],
    [None],
    [[1]],
    [{"a": 1}],
    [],
    [1, 2],
    None,
    "x",
    7,
    {"order_id": 1},
]


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._marker,)


def message(body: bytes, queue: str, task: str = "observe", form: str = "application/json", **changes: Any) -> bytes:
    """A message as Celery puts it into a list of Redis."""
    id_ = str(uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8" if form == "application/json" else "binary",
            "content-type": form,
            "headers": {"lang": "py", "task": task, "id": id_, "root_id": id_, "retries": 0, "timelimit": [None, None]},
            "properties": {
                "correlation_id": id_,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
            **changes,
        }
    ).encode()


def call(arguments: Any, keywords: Any = None) -> bytes:
    return json.dumps([arguments, {} if keywords is None else keywords, {"callbacks": None}]).encode()


def test_a_worker_reads_json_alone_and_outlives_what_it_cannot_read(
    plant: Plant, world: World, redis_url: str, tmp_path: Path
) -> None:
    marker = tmp_path / "unpickled"
    pickled = pickle.dumps([[Bomb(marker)], {}, {}])
    yaml = f"!!python/object/apply:os.mkdir ['{marker}']".encode()
    deep = b"[" * 100_000
    keys = [plant.earn_proof()]
    with Redis.from_url(redis_url) as broker:

        def send(*messages: bytes, queue: str = "orders") -> None:
            for each in messages:
                broker.lpush(queue, each)

        for queue in QUEUES:
            send(
                message(pickled, queue, form="application/x-python-serialize"),
                message(pickled, queue, form="application/x-python-serialize", **{"content-encoding": "utf-8"}),
                message(pickled, queue),
                message(yaml, queue, form="application/x-yaml"),
                message(pickled, queue, form="application/x-nobody-knows"),
                message(deep, queue),
                message(b"", queue),
                message(b"null", queue),
                message(b"{}", queue),
                message(call([1]), queue, task="os.system"),
                message(call([1]), queue, headers={}),
                queue=queue,
            )
        for task, arguments in itertools.product(("create_prebook", "observe"), WRONG_ARGUMENTS):
            send(message(call(arguments), "orders", task=task))
        wrong_keywords: list[Any] = [{"a": 1}, [], "x"]
        for keywords in wrong_keywords:
            send(message(call([1], keywords), "orders", task="create_prebook"))
        for garbage in (b"", b"\xff\xfe", b"{", b"[]", b"7", b"null", b'{"body": 1}', b"[" * 100_000):
            send(garbage, queue="maintenance")
            plant.wait_until(lambda: not broker.llen("maintenance"), 60, f"an end of {garbage[:9]!r}")
        keys.append(world.place())
        plant.wait_until(lambda: not any(broker.llen(queue) for queue in QUEUES), 60, "an empty queue")
        plant.wait_for_state("ordered", keys)
    assert_all_once(world, keys)
    assert not marker.exists()
    assert not plant.deaths
    said = plant.logs()
    assert "Refusing to deserialize" in said or "ContentDisallowed" in said
    assert "os.system" in said
