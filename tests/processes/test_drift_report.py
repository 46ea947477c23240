"""The drift report beside workers that are at it: what they are about to do is no drift, and what is planted is."""

import json
from pathlib import Path

import pytest

from tests.command import run_command
from tests.processes.plant import Json, Plant
from tests.world import World

#: Times that the report is made while orders come, change and go.
REPORTS = 6


def report(plant: Plant, folder: Path) -> list[Json]:
    done = run_command(["reconcile", "--json"], plant.env | {"AXKOMET_POLL_SECONDS": "20"}, folder)
    assert done.stderr == "", done
    found: list[Json] = json.loads(done.stdout)["drift"]
    assert done.returncode == bool(found)
    return found


@pytest.mark.thorough
def test_the_drift_report_beside_a_worker_shouts_nothing(plant: Plant, world: World, tmp_path: Path) -> None:
    world.in_axerrio("tenant-settings", print_labels=True)
    first = plant.earn_proof()
    keys = [first]
    for turn in range(REPORTS):
        keys += [world.place(), world.place(lines=[world.line("1"), world.mixed("2")])]
        if turn % 2:
            world.sell_in_komet()
        if turn >= REPORTS // 2:  # what is approved may be changed by a person only
            world.approve()
        elif turn % 2:
            world.place(key=keys[-3], lines=[world.line("1", boxes=9), world.line("2", boxes=turn)])
            world.place(key=keys[-4], status="cancelled")
        assert report(plant, tmp_path) == []
        plant.look_after()
    item, *_ = [
        item
        for prebook in world.company["prebooks"]
        if f"Axerrio {first.replace('SO-', '2026-')} [AX:" in prebook["comments"]
        for item in prebook["items"]
        if item["boxes"] == 4
    ]
    world.edit(prebook_item_id=item["id"], mark_code="DOCK9")
    (drift,) = report(plant, tmp_path)
    assert (drift["kind"], drift["line_key"]) == ("different", "1")
    assert "mark code DOCK9" in drift["theirs"]
    assert not plant.deaths
