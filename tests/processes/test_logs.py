"""The lines of a real worker: one JSON object each, which says of what it is, and nothing of the task before."""

import json
import re
from collections import defaultdict
from collections.abc import Callable

from tests.processes.plant import Json, Plant
from tests.world import World
from worker.reference import DOCS

#: One thread, so that whatever a task left bound would show in the next.
SETTINGS = {"AXKOMET_LOG_LEVEL": "DEBUG", "AXKOMET_CONCURRENCY": "1"}
FIELDS = {"connection", "order", "scope", "task_id", "write_id"}


def test_each_line_is_an_object_that_says_of_what_it_is(make_plant: Callable[..., Plant], world: World) -> None:
    plant = make_plant(settings=SETTINGS)
    broken = plant.break_at("komet.prebook.create", "intended", "raise")
    order = plant.earn_proof()
    assert not broken.exists()
    number = order.replace("SO-", "2026-")
    for name in plant.children:
        assert_lines((plant.folder / "log" / f"{name}.log").read_text())
    lines = assert_lines((plant.folder / "log" / "worker-0.log").read_text())

    (failed,) = [line for line in lines if "FailpointError" in line.get("exception", "")]
    requests = [line for line in lines if line["event"] == "request"]
    assert all(line["duration_ms"] > 0 and line["status"] == 200 for line in requests)
    page, _, _ = (DOCS / "reference" / "logs.md").read_text("utf-8").partition("## Levels")
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert {name for line in [*requests, failed] for name in line} == documented
    writes = {line["method"]: line for line in requests if "write_id" in line}
    assert {"prebook.create", "purchase.order.create", "external-references.put"} == writes.keys()
    for line in writes.values():
        assert (line["connection"], line["order"], line["outcome"], line["level"]) == ("miami", number, "done", "info")
        assert line["task_id"]
    reads = [line for line in requests if "write_id" not in line]
    assert {line["scope"] for line in reads} > {"sales-orders", "komet-prebooks changed", "komet-reference"}
    assert {(line["connection"], line["level"], "order" in line) for line in reads} == {("miami", "debug", False)}

    assert failed.keys() >= FIELDS - {"scope"}
    assert failed["order"] == number
    of_task: defaultdict[str | None, set[tuple[str, str]]] = defaultdict(set)
    for line in lines:
        of_task[line.get("task_id")] |= {(name, line[name]) for name in FIELDS & line.keys() - {"task_id", "write_id"}}
    assert of_task.pop(None) == set(), "what is of no task says nothing of one"
    assert all(len({name for name, _ in said}) == len(said) for said in of_task.values()), "one order or scope a task"
    assert not any({"order", "scope"} <= {name for name, _ in said} for said in of_task.values())
    assert not any(line.get("write_id") for line in lines if "scope" in line)


def assert_lines(text: str) -> list[Json]:
    """Each line is one object with time, level and event."""
    lines: list[Json] = [json.loads(line) for line in text.splitlines()]
    assert lines
    assert all(each["timestamp"] and each["level"] and each["event"] for each in lines)
    return lines
