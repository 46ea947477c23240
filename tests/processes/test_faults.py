"""A part of the fault table: each kind of write breaks once, in all ways and at all points, and ends as it should."""

from collections import Counter
from pathlib import Path

import httpx
import pytest

from benchmarks.cells import LOST, POINTS, WAYS, Cell
from benchmarks.faults import run_table
from models.states import Kind
from tests.world import World

EXCEPTION, EXIT, KILL = WAYS
CELLS = (
    Cell(Kind.PREBOOK_CREATE, LOST, KILL),
    Cell(Kind.PREBOOK_ITEM_DELETE, "answered", KILL),
    Cell(Kind.PURCHASE_ORDER_CREATE, LOST, EXIT),
    Cell(Kind.PURCHASE_ORDER_MIXED_CREATE, LOST, EXCEPTION),
    Cell(Kind.PURCHASE_ORDER_ITEM_DELETE, "sent", EXIT),
    Cell(Kind.AWB_ADD, "answered", KILL),
    Cell(Kind.BOX_CODE_CHANGE, "sent", KILL),
    Cell(Kind.INBOUND_ORDER, "settled", EXIT),
    Cell(Kind.EXTERNAL_REFERENCES, "planned", EXCEPTION),
    Cell(Kind.PROCUREMENT_STATUS, "intended", EXIT),
)


@pytest.mark.timeout(600)
def test_each_kind_of_write_breaks_and_its_order_ends_once(
    tmp_path: Path, sandbox_addresses: dict[str, str], database_url: str, redis_url: str
) -> None:
    assert Counter(cell.kind for cell in CELLS) == Counter(Kind)
    assert {cell.point for cell in CELLS} == set(POINTS)
    assert {cell.way for cell in CELLS} == set(WAYS)
    with httpx.Client(timeout=30) as http:

        def world(name: str) -> World:
            made = World(http, sandbox_addresses, name)
            made.seed()
            return made

        run = run_table(tmp_path, world, database_url, redis_url, [CELLS], [])
        http.delete(f"{sandbox_addresses['control']}/faults")
    assert not run.failed, "\n".join(run.failed)
    assert {outcome.cell for outcome in run.outcomes} == set(CELLS)
    assert run.deaths.keys() == {1, -9}
