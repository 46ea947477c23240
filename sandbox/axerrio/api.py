"""The Axerrio adapter API: routes, bearer tokens, tenants, and writes that are done once for each key."""

import copy
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from sandbox.axerrio import inbound, labels, sales_orders
from sandbox.axerrio.feed import Feed
from sandbox.axerrio.identity import identity
from sandbox.axerrio.problems import Problem, missing
from sandbox.axerrio.tenant import Tenant
from sandbox.wire import Call, parse

BASE = "/api/v1/"
FEEDS: dict[str, Callable[[Tenant], Feed[Any]]] = {
    "sales-orders": lambda tenant: tenant.orders,
    "labels": lambda tenant: tenant.labels,
    "shipments": lambda tenant: tenant.shipments,
    "articles": lambda tenant: tenant.articles,
}


class Axerrio:
    """All tenants, each opened by its bearer token.

    Its operations have stable names, by which faults and the request log know them: `GET /identity`,
    `GET /sales-orders/sync`, `GET /labels/sync`, `GET /shipments/sync`, `GET /articles/sync`, `GET /sales-orders`,
    `GET /labels/content`, `PUT external-references`, `PUT procurement-status`, `GET procurement-status`,
    `PUT inbound-orders`, `GET inbound-orders` and `DELETE inbound-orders`; anything else is `unknown`.
    """

    system = "axerrio"

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}

    def open(self, request: Request, body: bytes) -> Call:
        """Find the operation and the token; the key of an order may hold escaped slashes."""
        raw_path: bytes = request.scope["raw_path"]
        steps = [unquote(step) for step in raw_path.decode("ascii").removeprefix(BASE).split("/")]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.casefold() == "bearer" else ""
        operation, handler = _route(request, steps, body)
        return Call(
            operation=operation,
            token=token,
            work=lambda: self._work(request, body, token, handler),
            refusal=lambda message: Problem(422, "validation", message).answer(),
        )

    def _work(self, request: Request, body: bytes, token: str, handler: Callable[[Tenant], Response]) -> Response:
        try:
            tenant = self.tenants.get(token)
            if tenant is None:
                raise Problem(401, "unauthorized", "The bearer token is missing or unknown")
            if tenant.seed.tenant_id not in (None, request.headers.get("x-tenant-id")):
                raise Problem(403, "tenant-mismatch", "X-Tenant-Id is not the tenant of this token")
            if request.method == "GET":
                return handler(tenant)
            return _once(tenant, request, body, handler)
        except Problem as problem:
            return problem.answer()


def _route(request: Request, steps: list[str], body: bytes) -> tuple[str, Callable[[Tenant], Response]]:
    """Name the operation and bind its handler."""
    match request.method, steps:
        case "GET", ["identity"]:
            return "GET /identity", identity
        case "GET", ["sales-orders" | "labels" | "shipments" | "articles" as feed, "sync", sequence]:
            limit = request.query_params.get("limit", "200")
            return f"GET /{feed}/sync", lambda tenant: FEEDS[feed](tenant).answer(sequence, limit)
        case "GET", ["labels", label_id, "content"]:
            accept = request.headers.get("accept", "*/*")
            return "GET /labels/content", lambda tenant: labels.content(tenant, label_id, accept)
        case "GET", ["sales-orders", key]:
            return "GET /sales-orders", lambda tenant: sales_orders.single(tenant, key)
        case "PUT", ["sales-orders", key, "external-references", system]:
            return (
                "PUT external-references",
                lambda tenant: sales_orders.put_references(tenant, key, system, _json(body)),
            )
        case "PUT", ["sales-orders", key, "procurement-status"]:
            return (
                "PUT procurement-status",
                lambda tenant: sales_orders.put_procurement(tenant, key, _json(body)),
            )
        case "GET", ["sales-orders", key, "procurement-status"]:
            return "GET procurement-status", lambda tenant: sales_orders.get_procurement(tenant, key)
        case "PUT", ["inbound-orders", external_id]:
            return "PUT inbound-orders", lambda tenant: inbound.put(tenant, external_id, _json(body))
        case "GET", ["inbound-orders", external_id]:
            return "GET inbound-orders", lambda tenant: inbound.get(tenant, external_id)
        case "DELETE", ["inbound-orders", external_id]:
            return "DELETE inbound-orders", lambda tenant: inbound.delete(tenant, external_id)
    return "unknown", _nowhere


def _nowhere(_tenant: Tenant) -> Response:
    raise missing("This resource")


def _json(body: bytes) -> object:
    try:
        return parse(body)
    except ValueError:
        raise Problem(400, "malformed", "The body is not valid JSON") from None


def _once(tenant: Tenant, request: Request, body: bytes, handler: Callable[[Tenant], Response]) -> Response:
    """Do a write once for its Idempotency-Key, and repeat its answer later. A refusal is not kept."""
    key = request.headers.get("idempotency-key")
    if not key:
        raise Problem(400, "idempotency-key-missing", "A write needs an Idempotency-Key")
    content = f"{request.method} {request.url.path}\n".encode() + body
    print_of_it = hashlib.sha256(content).hexdigest()
    if key in tenant.answered:
        first_print, first = tenant.answered[key]
        if first_print != print_of_it:
            raise Problem(422, "idempotency-mismatch", "This Idempotency-Key was used for another write")
        replay = copy.copy(first)
        replay.raw_headers = [*first.raw_headers, (b"idempotency-replayed", b"true")]
        return replay
    answer = handler(tenant)
    tenant.answered[key] = print_of_it, answer
    return answer
