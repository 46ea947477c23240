"""The files for those who watch it: dashboard, rules, and the configuration of Prometheus."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.world import Json

OPS = Path(__file__).parents[2] / "ops"
PROMETHEUS = OPS / "prometheus"


class Alert(NamedTuple):
    """One rule, as its file has it."""

    name: str
    severity: str
    summary: str
    runbook: str
    text: str


def alerts() -> list[Alert]:
    _, *texts = (PROMETHEUS / "alerts.yml").read_text("utf-8").split("- alert: ")
    return [
        Alert(
            text.split()[0],
            only(r"^ +severity: (\w+)$", text),
            only(r'^ +summary: "(.+)"$', text),
            only(r'^ +runbook_url: "\{\{ \$externalLabels\.axkomet_docs \}\}/(.+)"$', text),
            text,
        )
        for text in texts
    ]


def only(pattern: str, text: str) -> str:
    (found,) = re.findall(pattern, text, re.MULTILINE)
    return str(found)


def dashboard() -> Json:
    document: Json = json.loads((OPS / "grafana" / "axkomet.json").read_text("utf-8"))
    return document


def queries() -> Iterator[tuple[str, str, str]]:
    """Title of the panel, what is asked, and the words of the legend."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
