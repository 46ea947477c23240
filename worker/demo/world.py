"""The outside world of the demo: two companies and two tenants in the sandbox, through its control interface."""

from collections.abc import Sequence
from typing import Any

import httpx

from models.canonical import Json
from worker.demo.pairs import ARTICLES, KOMETS_NAMES, MIXED, NEW_ARTICLES, Pair
from worker.problems import Exit, Problem

#: Procurement approves a purchase order by itself after so long.
_APPROVAL_SECONDS = 5.0


class World:
    """The sandbox, through its control interface."""

    def __init__(self, komet_url: str, axerrio_url: str, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        self.komet_url = komet_url
        self.axerrio_url = axerrio_url
        self._http = httpx.Client(base_url=f"{self.axerrio_url}/control/", timeout=10, trust_env=False)
        self._seen = 0

    def answers(self) -> bool:
        """The sandbox is up."""
        try:
            return self._http.get("health").is_success
        except httpx.HTTPError:
            return False

    def seed(self, **settings: Any) -> None:
        """Make companies and tenants, without orders.

        Args:
            settings: of all companies, over those of the demo.
        """
        known = [{"code": code, "description": words} for code, (words, *_) in ARTICLES.items()]
        known.append({"code": MIXED[0], "description": MIXED[1]})
        new = [{"code": code, "description": words} for code, (words, *_) in NEW_ARTICLES.items()]
        under_other_names = [{"code": code, "description": words} for code, words in KOMETS_NAMES.values()]
        companies = [
            {
                "token": pair.komet_token,
                "company_code": pair.company_code,
                "time_zone": pair.company_zone,
                "customers": [{"code": code, "name": name} for code, name in pair.buyers.values()],
                "carriers": [{"code": pair.carrier[0], "name": pair.carrier[1]}],
                "products": [*known, *under_other_names],
                "locations": [pair.company_code],
                "settings": {"auto_approve_seconds": _APPROVAL_SECONDS} | settings,
            }
            for pair in self.pairs
        ]
        tenants = [
            {
                "token": pair.axerrio_token,
                "tenant_id": pair.tenant,
                "name": pair.tenant_name,
                "time_zone": pair.tenant_zone,
                "currency": pair.currency,
                "articles": [{"key": f"A-{each['code']}"} | each for each in (*known, *new)],
                "settings": {"print_labels": True},
            }
            for pair in self.pairs
        ]
        self._call("POST", "seed", {"companies": companies, "tenants": tenants})

    def order(self, faults: Sequence[Json]) -> None:
        """Order these faults, in place of all ordered before; the first that strikes wins."""
        self._call("POST", "faults", {"faults": faults})

    def in_axerrio(self, pair: Pair, what: str, **details: Any) -> Json:
        """A person's hand in Axerrio."""
        done: Json = self._call("POST", what, {"tenant_token": pair.axerrio_token, **details})
        return done

    def in_komet(self, pair: Pair, what: str, **details: Any) -> Json:
        """A person's hand in Komet."""
        done: Json = self._call("POST", what, {"company_token": pair.komet_token, **details})
        return done

    def dump(self) -> Json:
        """Everything of both systems, as it really stands."""
        found: Json = self._call("GET", "dump")
        return found

    def new_requests(self) -> list[Json]:
        """What was asked of either since the last look."""
        found: list[Json] = self._call("GET", f"requests?since={self._seen}")
        self._seen = max((entry["n"] for entry in found), default=self._seen)
        return found

    def close(self) -> None:
        """Give the connection to the sandbox back."""
        self._http.close()

    def _call(self, verb: str, path: str, body: Json | None = None) -> Any:
        try:
            return self._http.request(verb, path, json=body).raise_for_status().json()
        except httpx.HTTPError as error:
            raise Problem(f"The sandbox does not do its part ({error}): see log/sandbox.log.", Exit.FAILED) from None
