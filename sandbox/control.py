"""The control interface: seeds both systems, plays the people in them, orders faults and tells what happened.

JSON over HTTP under `/control` on both ports, without a token. A wrong request is 400 with `{"error": ...}`, an
unknown token, number or id 404.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from sandbox.axerrio.api import Axerrio
from sandbox.axerrio.tenant import Tenant, TenantSeed
from sandbox.faults import Fault, Faults
from sandbox.gate import RequestLog
from sandbox.komet.api import Komet
from sandbox.komet.company import Company
from sandbox.komet.records import Line
from sandbox.komet.seed import CompanySeed, Product, Settings
from sandbox.wire import Answer, Json, parse


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Seed(_Order):
    """Companies and tenants to create or replace."""

    companies: list[CompanySeed] = []
    tenants: list[TenantSeed] = []


class Orders(_Order):
    """Axerrio orders to create or change; `{"raw": {...}}` stands for a record to send as it is."""

    tenant_token: str
    orders: list[Json]


class Deletion(_Order):
    """Axerrio orders to delete."""

    tenant_token: str
    keys: list[str]


class Approval(_Order):
    """Purchase orders to which procurement gives a status: one by its number, or all that are pending."""

    company_token: str
    purchase_order_number: str | None = None
    status: Literal["PA", "A", "CF", "X"] = "A"
    all: bool = False


class AutoApproval(_Order):
    """Approve purchase orders by themselves so long after their creation; null switches it off."""

    company_token: str
    after_seconds: float | None = Field(ge=0)


class Mapping(_Order):
    """A person maps what was sent under this code or description to a product."""

    company_token: str
    code: str | None = None
    description: str | None = None
    product: Product


class Edit(_Order):
    """A person's hand in Komet, on a prebook item or on a prebook."""

    company_token: str
    prebook_item_id: int | None = None
    boxes: int | None = Field(default=None, ge=0)
    vendor_id: int | None = None
    prebook_id: int | None = None
    comments: str | None = None


class Control:
    """Answers the requests under /control."""

    def __init__(self, komet: Komet, axerrio: Axerrio, faults: Faults, log: RequestLog) -> None:
        self.komet = komet
        self.axerrio = axerrio
        self.faults = faults
        self.log = log
        self._routes: dict[tuple[str, str], Callable[[Json], Any]] = {
            ("GET", "health"): lambda _: {"ok": True},
            ("POST", "seed"): self._seed,
            ("POST", "orders"): self._orders,
            ("POST", "orders/delete"): self._delete,
            ("POST", "approve"): self._approve,
            ("POST", "auto-approve"): self._auto_approve,
            ("POST", "map"): self._map,
            ("POST", "settings"): self._settings,
            ("POST", "edit"): self._edit,
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
        except ValueError as wrong:
            return Answer({"error": str(wrong)}, 400)

    def _seed(self, asked: Json) -> Json:
        seed = Seed.model_validate(asked)
        companies = {each.token: Company(each) for each in seed.companies}
        tenants = {each.token: Tenant(each) for each in seed.tenants}
        self.komet.companies |= companies
        self.axerrio.tenants |= tenants
        return {"companies": len(companies), "tenants": len(tenants)}

    def _orders(self, asked: Json) -> Json:
        orders = Orders.model_validate(asked)
        tenant = self.axerrio.tenants[orders.tenant_token]
        saved = [
            tenant.save_raw(order["raw"]) if set(order) == {"raw"} else tenant.save(order) for order in orders.orders
        ]
        return {"orders": [{"key": order.key, "version": order.version, "sequence": order.sequence} for order in saved]}

    def _delete(self, asked: Json) -> Json:
        deletion = Deletion.model_validate(asked)
        tenant = self.axerrio.tenants[deletion.tenant_token]
        deleted = [tenant.delete(key) for key in deletion.keys]
        return {"orders": [{"key": order.key, "sequence": order.sequence} for order in deleted]}

    def _approve(self, asked: Json) -> Json:
        approval = Approval.model_validate(asked)
        company = self.komet.companies[approval.company_token]
        if approval.purchase_order_number is not None:
            order = company.find_order(approval.purchase_order_number)
            if order is None:
                raise KeyError(approval.purchase_order_number)
            orders = [order]
        elif approval.all:
            orders = [po.latest for po in company.purchase_orders.values() if po.latest.status == "PA"]
        else:
            raise ValueError("purchase_order_number or all is needed")
        company.set_status(orders, approval.status)
        return {"purchase_orders": [str(order.number) for order in orders]}

    def _auto_approve(self, asked: Json) -> Json:
        approval = AutoApproval.model_validate(asked)
        after = approval.after_seconds
        return self._settings({"company_token": approval.company_token, "auto_approve_seconds": after})

    def _map(self, asked: Json) -> Json:
        mapping = Mapping.model_validate(asked)
        if (mapping.code is None) == (mapping.description is None):
            raise ValueError("either code or description is needed")
        company = self.komet.companies[mapping.company_token]
        return {"mapped": company.add_product(mapping.product, mapping.code, mapping.description)}

    def _settings(self, asked: Json) -> Json:
        changes = {name: value for name, value in asked.items() if name != "company_token"}
        company = self.komet.companies[str(asked.get("company_token"))]
        company.approve_due()
        company.settings = Settings.model_validate(company.settings.model_dump() | changes)
        return company.settings.model_dump(mode="json")

    def _edit(self, asked: Json) -> Json:
        edit = Edit.model_validate(asked)
        company = self.komet.companies[edit.company_token]
        if edit.prebook_item_id is not None:
            found = company.find_item(edit.prebook_item_id)
            if found is None:
                raise KeyError(edit.prebook_item_id)
            prebook, item = found
            line = item.line if edit.boxes is None else replace(item.line, boxes=edit.boxes)
            vendor_id = item.vendor_id if edit.vendor_id is None else edit.vendor_id
            changed = replace(item, line=line, vendor_id=vendor_id)
            items = tuple(changed if each.id == item.id else each for each in prebook.items)
            company.save_prebook(replace(prebook, items=items))
        elif edit.prebook_id is not None and edit.comments is not None:
            prebook = company.prebooks[edit.prebook_id].latest
            company.save_prebook(replace(prebook, comments=edit.comments))
        else:
            raise ValueError("prebook_item_id, or prebook_id and comments, is needed")
        return {"prebook_id": prebook.id}

    def _dump(self, _asked: Json) -> Json:
        return {
            "companies": [_company(each) for each in self.komet.companies.values()],
            "tenants": [_tenant(each) for each in self.axerrio.tenants.values()],
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


def _company(company: Company) -> Json:
    company.approve_due()
    return {
        "company_code": company.seed.company_code,
        "token_last4": company.seed.token[-4:],
        "prebooks": [
            {
                "id": prebook.id,
                "number": prebook.number,
                "customer_code": prebook.customer.code,
                "carrier_code": prebook.carrier.code,
                "location": prebook.location,
                "truck_date": prebook.truck_date.isoformat(),
                "customer_po": prebook.customer_po,
                "comments": prebook.comments,
                "items": [
                    {
                        "id": item.id,
                        "vendor_ship_date": item.vendor_ship_date and item.vendor_ship_date.isoformat(),
                        **_line(item.line),
                    }
                    for item in prebook.items
                ],
            }
            for prebook in (shown.latest for shown in company.prebooks.values())
        ],
        "purchase_orders": [
            {
                "id": order.id,
                "number": str(order.number),
                "ship_date": order.ship_date.isoformat(),
                "status": order.status,
                "location": order.location,
                "carrier_code": order.carrier and order.carrier.code,
                "items": [
                    {"id": item.id, "prebook_item_id": item.prebook_item_id, **_line(item.line)} for item in order.items
                ],
            }
            for order in (shown.latest for shown in company.purchase_orders.values())
        ],
        "requests": dict(company.requests),
    }


def _line(line: Line) -> Json:
    return {
        "boxes": line.boxes,
        "product_code": line.goods.code,
        "product_description": line.goods.description,
        "mapped": line.goods.product is not None and all(part.goods.product for part in line.parts),
        "product_id": line.goods.product and line.goods.product.id,
        "box_type": line.box_type.code,
        "unit_type": line.unit_type,
        "bunches": line.bunches,
        "stems_bunch": line.stems_bunch,
        "cost": None if line.cost is None else str(line.cost),
        "mark_code": line.mark_code,
        "notes": line.notes,
        "breakdowns": [
            {
                "product_code": part.goods.code,
                "product_description": part.goods.description,
                "mapped": part.goods.product is not None,
                "bunches": part.bunches,
                "stems_bunch": part.stems_bunch,
                "cost": None if part.cost is None else str(part.cost),
            }
            for part in line.parts
        ],
    }


def _tenant(tenant: Tenant) -> Json:
    return {
        "tenant_id": tenant.seed.tenant_id,
        "token_last4": tenant.seed.token[-4:],
        "maximum_sequence": tenant.maximum_sequence,
        "orders": [
            {
                "key": order.key,
                "number": order.record.get("number"),
                "status": order.record.get("status"),
                "version": order.version,
                "sequence": order.sequence,
                "deleted": order.deleted,
                "external_references": order.external_references,
                "procurement_status": order.procurement_status,
            }
            for order in tenant.orders.values()
        ],
    }
