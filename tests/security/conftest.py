"""A world whose tokens are planted: made to be found in whatever form they leak."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import httpx
import pytest

from tests.between import Between, between
from tests.processes.conftest import make_plant, plant, pytest_runtest_makereport
from tests.world import Json, World

__all__ = ["make_plant", "plant", "pytest_runtest_makereport"]


@dataclass
class PlantedWorld(World):
    """Its tokens stand nowhere else, and both systems are reached through servers that may change their answers."""

    komet: Between = field(kw_only=True)
    axerrio: Between = field(kw_only=True)

    def __post_init__(self) -> None:
        self.komet_token = planted(self.komet_token[-4:])
        self.axerrio_token = planted(self.axerrio_token[-4:])

    def entry(self, **changes: Any) -> Json:
        entry = super().entry(**changes)
        entry["komet"] |= {"base_url": self.komet.url, "company_code": "MIA"}
        entry["axerrio"] |= {"base_url": self.axerrio.url}
        return entry


def planted(last: str) -> str:
    """A token in which URLs, HTML and JSON quote something, between words that they leave as they are."""
    return f"{token_hex(8)}/+&\"'<%25{token_hex(8)}-{last}"


@pytest.fixture
def world(sandbox_addresses: dict[str, str]) -> Iterator[PlantedWorld]:
    """Made anew, with planted tokens."""
    with (
        httpx.Client(timeout=10) as http,
        between(sandbox_addresses["komet"]) as komet,
        between(sandbox_addresses["axerrio"]) as axerrio,
    ):
        made = PlantedWorld(http, sandbox_addresses, komet=komet, axerrio=axerrio)
        made.seed()
        yield made
        http.delete(f"{sandbox_addresses['control']}/faults")
