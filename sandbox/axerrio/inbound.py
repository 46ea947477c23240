"""Inbound orders: the Axerrio order of a Komet prebook, created, replaced and cancelled from outside."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from starlette.responses import Response

from sandbox.axerrio.bodies import Amount, Body, Count, Day, Text, Word
from sandbox.axerrio.problems import Problem, invalid, missing
from sandbox.axerrio.tenant import Inbound, Rejection, Tenant
from sandbox.wire import Answer, Json

DAYS_BEFORE_TRUCK = 2  # of a departure that Axerrio sets itself


class Party(Body):
    """A buyer or an address."""

    code: Word
    name: str | None = None


class Article(Body):
    """An article; without a code it is matched by its description."""

    key: Word | None = None
    code: Word | None = None
    description: Text
    vbn_code: str | None = None


class Packing(Body):
    """A kind of box."""

    code: Word


class PartBody(Body):
    """What is in a mixed box."""

    article: Article
    bunches: Count
    stems_per_bunch: Count
    unit_price: Amount | None = None
    unit_cost: Amount | None = None


class LineBody(Body):
    """A line, named by the id that it has outside."""

    external_line_id: Word
    article: Article
    packing: Packing
    boxes: Count
    bunches_per_box: Count | None = None
    stems_per_bunch: Count | None = None
    unit_type: Literal["stem", "bunch"] = "stem"
    unit_price: Amount | None = None
    unit_cost: Amount | None = None
    mark_code: str | None = None
    notes: str | None = None
    departure_date: Day | None = None
    breakdown: list[PartBody] = Field(default_factory=list)


class OrderBody(Body):
    """An order as it comes in."""

    origin: Literal["komet"] = "komet"
    buyer: Party
    ship_to: Party | None = None
    carrier_code: str | None = None
    location_code: str | None = None
    customer_reference: str | None = None
    currency: str | None = None
    comments: str | None = None
    order_date: Day | None = None
    departure_date: Day | None = None
    truck_date: Day
    lines: list[LineBody] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> "OrderBody":
        ids = [line.external_line_id for line in self.lines]
        if len(set(ids)) < len(ids):
            raise ValueError("each externalLineId can be given once")
        return self


def put(tenant: Tenant, external_id: str, body: object) -> Response:
    """Create or replace the order; a body that asks for what stands already changes nothing."""
    try:
        TypeAdapter(Word).validate_python(external_id)
        asked = OrderBody.model_validate(body).given()
    except ValidationError as error:
        raise invalid(error) from None
    inbound = tenant.inbound.get(external_id)
    created = inbound is None or inbound.cancelled
    if inbound is None:
        inbound = tenant.inbound[external_id] = Inbound(external_id, asked)
    _changeable(tenant, inbound)
    same = not created and inbound.body == asked and not _edited(tenant, inbound)
    inbound.body, inbound.cancelled = asked, False
    match tenant.settings.inbound:
        case "accepted":
            accept(tenant, inbound, tenant.settings.reject_lines)
        case "rejected":
            reject(inbound, Rejection(message="The order was refused"))
        case "pending" if not same:
            inbound.status, inbound.lines = "pending", []
    return Answer(shown(tenant, inbound), 201 if created else 200)


def get(tenant: Tenant, external_id: str) -> Response:
    """What became of the order."""
    return Answer(shown(tenant, _live(tenant, external_id)))


def delete(tenant: Tenant, external_id: str) -> Response:
    """Cancel the order."""
    inbound = _live(tenant, external_id)
    _changeable(tenant, inbound)
    if inbound.order_key is not None:
        lines = [line | {"status": "cancelled"} for line in tenant.orders.records[inbound.order_key].lines]
        tenant.save({"key": inbound.order_key, "status": "cancelled", "lines": lines})
    inbound.cancelled, inbound.applied = True, None
    return Response(status_code=204)


def _live(tenant: Tenant, external_id: str) -> Inbound:
    inbound = tenant.inbound.get(external_id)
    if inbound is None or inbound.cancelled:
        raise missing(f"Inbound order {external_id}")
    return inbound


def _changeable(tenant: Tenant, inbound: Inbound) -> None:
    if inbound.order_key is None:
        return
    order = tenant.orders.find(inbound.order_key, "Sales order")
    if order.shipped:
        raise Problem(409, "immutable", f"Sales order {order.key} was shipped")


def shown(tenant: Tenant, inbound: Inbound) -> Json:
    """The answer's body."""
    order = tenant.orders.records[inbound.order_key] if inbound.order_key else None
    return {
        "externalId": inbound.external_id,
        "salesOrderKey": order.key if order else None,
        "salesOrderNumber": order.record.get("number") if order else None,
        "status": inbound.status,
        "lines": inbound.lines,
    }


def reject(inbound: Inbound, why: Rejection) -> None:
    """Refuse the whole; an order that stands from before stays as it is."""
    inbound.status = "rejected"
    inbound.lines = [_refused(line, why) for line in inbound.body["lines"]]


def accept(tenant: Tenant, inbound: Inbound, rejections: Mapping[str, Rejection]) -> None:
    """Take the lines that can be taken; a line that was in the order and no longer is, is cancelled."""
    before = tenant.orders.before(inbound.order_key).get("lines", []) if inbound.order_key else []
    keys = {line.get("externalLineId"): line["lineKey"] for line in before}
    free = max((int(line["lineKey"]) for line in before if line["lineKey"].isdecimal()), default=0) + 1
    results, lines = [], []
    for asked in inbound.body["lines"]:
        external_line_id = asked["externalLineId"]
        try:
            if external_line_id in rejections:
                raise _LineRefused(rejections[external_line_id])
            line = asked | _articles(tenant, asked)
        except _LineRefused as refused:
            results.append(_refused(asked, refused.why))
            continue
        if external_line_id not in keys:
            keys[external_line_id], free = str(free), free + 1
        line |= {"lineKey": keys[external_line_id], "status": "open"}
        lines.append(line)
        results.append(_result(line["lineKey"], external_line_id, "accepted", None, None))
    inbound.lines = results
    inbound.status = "accepted" if lines else "rejected"
    header: Json = {"departureDate": None} | inbound.body
    if not header["departureDate"]:
        departure = date.fromisoformat(header["truckDate"]) - timedelta(days=DAYS_BEFORE_TRUCK)
        header["departureDate"] = departure.isoformat()
    content = header | {"lines": lines}
    if not lines or (content == inbound.applied and not _edited(tenant, inbound)):
        return
    open_keys = {line["lineKey"] for line in lines}
    cancelled = [line | {"status": "cancelled"} for line in before if line["lineKey"] not in open_keys]
    inbound.applied = content
    number = _number(tenant, inbound)
    identity = {"externalId": inbound.external_id, "origin": "komet", "status": "confirmed"}
    all_lines = sorted([*lines, *cancelled], key=lambda line: (len(line["lineKey"]), line["lineKey"]))
    numbered = [line | {"lineNumber": n} for n, line in enumerate(all_lines, start=1)]
    inbound.version = tenant.save(content | number | identity | {"lines": numbered}, whole=True).version


def _edited(tenant: Tenant, inbound: Inbound) -> bool:
    """A person changed the order in Axerrio since the body was applied."""
    return inbound.order_key is not None and tenant.orders.records[inbound.order_key].version != inbound.version


def _number(tenant: Tenant, inbound: Inbound) -> Json:
    """The order's key and number, new ones for a new order."""
    if inbound.order_key:
        return {"key": inbound.order_key, "number": tenant.orders.before(inbound.order_key)["number"]}
    number = next(tenant.numbers)
    inbound.order_key = f"SO-{number}"
    year = datetime.now(ZoneInfo(tenant.seed.time_zone)).year
    return {"key": inbound.order_key, "number": f"{year}-{number}"}


class _LineRefused(Exception):  # noqa: N818 - an answer, not an error
    def __init__(self, why: Rejection) -> None:
        super().__init__(why.message)
        self.why = why


def _articles(tenant: Tenant, line: Json) -> Json:
    """The line's articles, and those in its boxes, as the tenant has them."""
    parts = [part | {"article": _article(tenant, part["article"])} for part in line.get("breakdown", [])]
    return {"article": _article(tenant, line["article"]), "breakdown": parts}


def _article(tenant: Tenant, asked: Json) -> Json:
    code, description = asked.get("code") or "", asked["description"]
    article = tenant.find_article(code, description)
    if article is None:
        if not tenant.settings.knows_all_articles:
            raise _LineRefused(Rejection(code="unknown-article", message=f"No article {code or description}"))
        number = next(tenant.numbers)
        made = {"key": f"A-{number}", "code": code or f"ART{number}", "description": description}
        article = tenant.articles.change(made, {"vbnCode": None}).record
    return {name: article.get(name) for name in ("key", "code", "description", "vbnCode")}


def _refused(line: Json, why: Rejection) -> Json:
    return _result(None, line["externalLineId"], "rejected", why.code, why.message)


def _result(key: str | None, external_id: str, status: str, code: str | None, message: str | None) -> Json:
    return {
        "lineKey": key,
        "externalLineId": external_id,
        "status": status,
        "code": code,
        "message": message,
    }
