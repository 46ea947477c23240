"""Dashboard and rules name what there is: metrics, sections of the runbook, alarms. None of it needs Prometheus."""

import re

import pytest

from tests.ops.files import PROMETHEUS, Alert, alerts, dashboard, queries
from tests.worker.test_docs import anchors
from worker.metrics import Facts, figures
from worker.reference import DOCS

RUNBOOK = DOCS / "runbook.md"


def names_in(text: str) -> set[str]:
    """Of metrics, without what a summary adds."""
    return {re.sub("_(count|sum)$", "", name) for name in re.findall(r"\baxkomet_\w+", text)}


def test_every_metric_that_is_asked_for_exists() -> None:
    known = {each.name for each in figures(Facts())}
    of_dashboard = names_in(" ".join(expr for _, expr, _ in queries()))
    of_rules = names_in(" ".join(each.text.split("annotations:")[0] for each in alerts()))
    of_tests = names_in((PROMETHEUS / "alerts_test.yml").read_text("utf-8").replace("axkomet_docs", ""))
    assert of_dashboard | of_rules | of_tests <= known
    assert known - of_dashboard == {"axkomet_sweep_seconds", "axkomet_komet_requests_used"}, "nobody looks at these"


def test_the_dashboard_has_a_row_a_question() -> None:
    panels = dashboard()["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    assert [each["title"] for each in panels if each["type"] == "row"] == [
        "Is it healthy?",
        "What waits, and for whom?",
        "How fresh is it?",
        "What budget is left?",
        "What do the systems do?",
    ]
    taken: set[tuple[int, int]] = set()
    for each in panels:
        at = each["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, each["title"]
        taken |= cells
        assert each["type"] == "row" or (each["description"] and each["targets"])
    of_connections = [expr for _, expr, _ in queries() if "connection" in expr and "axkomet_connection" not in expr]
    assert all('connection=~"$connection"' in expr for expr in of_connections)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert: Alert) -> None:
    assert alert.severity in ("critical", "warning")
    page, _, anchor = alert.runbook.partition("#")
    assert DOCS / page == RUNBOOK
    assert anchor in anchors(RUNBOOK)
    tests = (PROMETHEUS / "alerts_test.yml").read_text("utf-8").split("  - name: ")
    mine = [each for each in tests if f"alertname: {alert.name}\n" in each]
    assert any(f"#{anchor}\n" in each for each in mine), "no test sees it fire"


def test_every_alarm_of_the_status_has_an_alert() -> None:
    _, _, chapter = RUNBOOK.read_text("utf-8").partition("## What `axkomet status` says")
    chapter, _, _ = chapter.partition("\n## ")
    sections = re.findall(r"^### (.+)$", chapter, re.MULTILINE)
    assert len(sections) > 10
    watched = {each.runbook.partition("#")[2] for each in alerts()}
    assert [each for each in sections if re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") not in watched] == []
