"""The people in Axerrio: they sell, decide on orders from outside, print labels and ship."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from sandbox.axerrio import inbound, labels
from sandbox.axerrio.api import FEEDS, Axerrio
from sandbox.axerrio.feed import Record
from sandbox.axerrio.tenant import Rejection, SalesOrder, Tenant, TenantSettings
from sandbox.people.orders import Order
from sandbox.wire import Json


class _Tenants(Order):
    tenant_token: str


class Orders(_Tenants):
    """Axerrio orders to create or change; `{"raw": {...}}` stands for a record to send as it is."""

    orders: list[Json]


class Deletion(_Tenants):
    """Axerrio orders to delete."""

    keys: list[str]


class FeedDeletion(Deletion):
    """Other records to delete."""

    feed: Literal["labels", "shipments", "articles"]


class Labels(_Tenants):
    """Labels to create or change."""

    labels: list[Json]


class Shipments(_Tenants):
    """Shipments to create or change."""

    shipments: list[Json]


class Articles(_Tenants):
    """Articles to create or change."""

    articles: list[Json]


class Decision(_Tenants):
    """What a person decides on an order from outside."""

    external_id: str
    decision: Literal["accepted", "rejected"]
    code: str = "rejected"
    message: str = "The order was refused"
    reject_lines: dict[str, Rejection] = Field(default_factory=dict)


class Departing(_Tenants):
    """Orders whose printed labels leave; `boxes` says by line key how many, where it is not all of them."""

    order_keys: list[str]
    awb: str | None
    house_awb: str | None = None
    is_temporary: bool = False
    ship_date: str | None = None
    boxes: dict[str, int] | None = None
    with_label_ids: bool = False


class Reprint(_Tenants):
    """A label to print again with another code."""

    label_id: str
    box_code: str | None = None


class Void(_Tenants):
    """Labels to void."""

    label_ids: list[str]


class Shipped(_Tenants):
    """Orders that are shipped."""

    order_keys: list[str]


class AxerrioPeople:
    """Does what people do in Axerrio."""

    def __init__(self, axerrio: Axerrio) -> None:
        self.axerrio = axerrio
        self.routes: dict[str, Callable[[Json], Json]] = {
            "orders": self._orders,
            "orders/delete": self._delete,
            "tenant-settings": self._settings,
            "inbound": self._inbound,
            "labels": self._labels,
            "shipments": self._shipments,
            "articles": self._articles,
            "feed/delete": self._delete_record,
            "ship": self._ship,
            "reprint": self._reprint,
            "void": self._void,
            "mark-shipped": self._mark_shipped,
        }

    def _orders(self, asked: Json) -> Json:
        orders = Orders.model_validate(asked)
        tenant = self.axerrio.tenants[orders.tenant_token]
        return {"orders": _saved(orders.orders, tenant.save, tenant.orders.save_raw)}

    def _delete(self, asked: Json) -> Json:
        deletion = Deletion.model_validate(asked)
        tenant = self.axerrio.tenants[deletion.tenant_token]
        deleted = [tenant.orders.delete(key) for key in deletion.keys]
        return {"orders": [{"key": order.key, "sequence": order.sequence} for order in deleted]}

    def _settings(self, asked: Json) -> Json:
        changes = {name: value for name, value in asked.items() if name != "tenant_token"}
        tenant = self.axerrio.tenants[str(asked.get("tenant_token"))]
        tenant.settings = TenantSettings.model_validate(tenant.settings.model_dump() | changes)
        for order in list(tenant.orders.records.values()):
            labels.print_due(tenant, order)
        return tenant.settings.model_dump(mode="json")

    def _inbound(self, asked: Json) -> Json:
        decision = Decision.model_validate(asked)
        tenant = self.axerrio.tenants[decision.tenant_token]
        order = tenant.inbound[decision.external_id]
        if order.cancelled:
            raise ValueError(f"{order.external_id} was cancelled")
        if decision.decision == "accepted":
            inbound.accept(tenant, order, tenant.settings.reject_lines | decision.reject_lines)
        else:
            inbound.reject(order, Rejection(code=decision.code, message=decision.message))
        return inbound.shown(tenant, order)

    def _labels(self, asked: Json) -> Json:
        order = Labels.model_validate(asked)
        tenant = self.axerrio.tenants[order.tenant_token]
        return {"labels": _saved(order.labels, tenant.save_label, tenant.labels.save_raw)}

    def _shipments(self, asked: Json) -> Json:
        order = Shipments.model_validate(asked)
        feed = self.axerrio.tenants[order.tenant_token].shipments
        defaults: Json = {"houseAwb": None, "isTemporaryAwb": False, "lines": []}
        return {"shipments": _saved(order.shipments, lambda each: feed.change(each, defaults), feed.save_raw)}

    def _articles(self, asked: Json) -> Json:
        order = Articles.model_validate(asked)
        feed = self.axerrio.tenants[order.tenant_token].articles
        return {"articles": _saved(order.articles, lambda each: feed.change(each, {"vbnCode": None}), feed.save_raw)}

    def _delete_record(self, asked: Json) -> Json:
        deletion = FeedDeletion.model_validate(asked)
        tenant = self.axerrio.tenants[deletion.tenant_token]
        deleted = [FEEDS[deletion.feed](tenant).delete(key) for key in deletion.keys]
        if deletion.feed == "shipments":
            tenant.shipped_in = {
                label: shipment for label, shipment in tenant.shipped_in.items() if shipment not in deletion.keys
            }
        return {deletion.feed: [{"key": record.key, "sequence": record.sequence} for record in deleted]}

    def _ship(self, asked: Json) -> Json:
        leaving = Departing.model_validate(asked)
        tenant = self.axerrio.tenants[leaving.tenant_token]
        departure = labels.Departure(leaving.awb, leaving.house_awb, leaving.is_temporary, leaving.ship_date)
        orders = [tenant.orders.records[key] for key in leaving.order_keys]
        shipment = labels.ship(tenant, orders, departure, leaving.boxes, with_label_ids=leaving.with_label_ids)
        return {"key": shipment.key, "lines": shipment.record["lines"]}

    def _reprint(self, asked: Json) -> Json:
        reprint = Reprint.model_validate(asked)
        tenant = self.axerrio.tenants[reprint.tenant_token]
        _known(tenant, reprint.label_id)
        code = reprint.box_code or labels.new_code()
        label = tenant.save_label({"labelId": reprint.label_id, "boxCode": code, "state": "printed"})
        return {"label_id": label.key, "box_code": code, "version": label.version}

    def _void(self, asked: Json) -> Json:
        void = Void.model_validate(asked)
        tenant = self.axerrio.tenants[void.tenant_token]
        for key in void.label_ids:
            _known(tenant, key)
        voided = [tenant.save_label({"labelId": key, "state": "void"}) for key in void.label_ids]
        return {"labels": [_place(label) for label in voided]}

    def _mark_shipped(self, asked: Json) -> Json:
        shipped = Shipped.model_validate(asked)
        tenant = self.axerrio.tenants[shipped.tenant_token]
        orders = [tenant.orders.records[key] for key in shipped.order_keys]
        saved = [tenant.save({"key": order.key, "status": "shipped", "lines": _all_shipped(order)}) for order in orders]
        return {"orders": [_place(order) for order in saved]}


def _saved(records: list[Json], save: Callable[[Json], Record], save_raw: Callable[[Json], Record]) -> list[Json]:
    """Save each record, one to send as it is among them."""
    return [_place(save_raw(each["raw"]) if set(each) == {"raw"} else save(each)) for each in records]


def _place(record: Record) -> dict[str, Any]:
    return {"key": record.key, "version": record.version, "sequence": record.sequence}


def _known(tenant: Tenant, label_id: str) -> None:
    if label_id not in tenant.labels.records:
        raise KeyError(label_id)


def _all_shipped(order: SalesOrder) -> list[Json]:
    return [line | {"status": "shipped"} if line["status"] == "open" else line for line in order.lines]
