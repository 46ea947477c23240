"""The control interface: seeds both systems, plays the people in them, orders faults and tells what happened.

JSON over HTTP under `/control` on both ports, without a token. A wrong request is 400 with `{"error": ...}`, an
unknown token, number or id 404.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from sandbox.axerrio.api import Axerrio
from sandbox.axerrio.tenant import Tenant, TenantSeed
from sandbox.dump import of_company, of_tenant
from sandbox.faults import Fault, Faults
from sandbox.gate import RequestLog
from sandbox.komet.api import Komet
from sandbox.komet.company import Company
from sandbox.komet.fields import Refused
from sandbox.komet.seed import CompanySeed
from sandbox.people.axerrio import AxerrioPeople
from sandbox.people.komet import KometPeople
from sandbox.people.orders import Order
from sandbox.wire import Answer, Json, parse


class Seed(Order):
    """Companies and tenants to create or replace."""

    companies: list[CompanySeed] = Field(default_factory=list)
    tenants: list[TenantSeed] = Field(default_factory=list)


class Control:
    """Answers the requests under /control."""

    def __init__(self, komet: Komet, axerrio: Axerrio, faults: Faults, log: RequestLog) -> None:
        self.komet = komet
        self.axerrio = axerrio
        self.faults = faults
        self.log = log
        people = KometPeople(komet).routes | AxerrioPeople(axerrio).routes
        self._routes: dict[tuple[str, str], Callable[[Json], Any]] = {
            **{("POST", path): work for path, work in people.items()},
            ("GET", "health"): lambda _: {"ok": True},
            ("POST", "seed"): self._seed,
            ("GET", "dump"): self._dump,
            ("GET", "requests"): self._requests,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._set_faults,
            ("DELETE", "faults"): self._clear_faults,
        }

    def answer(self, request: Request, body: bytes) -> Response:
        """Answer one request."""
        route = self._routes.get((request.method, request.url.path.removeprefix("/control/")))
        if route is None:
            return Answer({"error": f"no {request.method} {request.url.path}"}, 404)
        try:
            asked = parse(body) if request.method == "POST" else dict(request.query_params)
            if not isinstance(asked, dict):
                raise ValueError("one JSON object is expected")
            return Answer(route(asked))
        except KeyError as missing:
            return Answer({"error": f"{missing.args[0]} does not exist"}, 404)
        except ValidationError as invalid:
            return Answer({"error": str(invalid)}, 400)
        except (ValueError, Refused) as wrong:
            return Answer({"error": str(wrong)}, 400)

    def _seed(self, asked: Json) -> Json:
        seed = Seed.model_validate(asked)
        companies = {each.token: Company(each) for each in seed.companies}
        tenants = {each.token: Tenant(each) for each in seed.tenants}
        self.komet.companies |= companies
        self.axerrio.tenants |= tenants
        return {"companies": len(companies), "tenants": len(tenants)}

    def _dump(self, _asked: Json) -> Json:
        return {
            "companies": [of_company(each) for each in self.komet.companies.values()],
            "tenants": [of_tenant(each) for each in self.axerrio.tenants.values()],
        }

    def _requests(self, asked: Json) -> list[Json]:
        return [asdict(entry) for entry in self.log.since(int(asked.get("since", 0)))]

    def _faults(self, _asked: Json) -> Json:
        return {"faults": [fault.model_dump() for fault in self.faults.ordered]}

    def _set_faults(self, asked: Json) -> Json:
        self.faults.ordered = TypeAdapter(list[Fault]).validate_python(asked.get("faults"))
        return self._faults({})

    def _clear_faults(self, _asked: Json) -> Json:
        self.faults.ordered = []
        return self._faults({})
