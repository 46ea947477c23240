"""What the pages promise to cover, they cover."""

import re
from pathlib import Path

from models.states import HoldCode, OrderState

DOCS = Path(__file__).parents[2] / "docs"


def test_the_runbook_has_a_section_for_every_reason() -> None:
    sections = set(re.findall(r"^### `(\w+)`$", (DOCS / "runbook.md").read_text("utf-8"), re.MULTILINE))
    assert sections == {each.value for each in HoldCode} | {OrderState.FAILED.value}
