import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest

from clients.axerrio.client import AxerrioClient, FeedRecord
from clients.axerrio.convert import procurement_body, references_body
from clients.axerrio.settings import AxerrioSettings
from clients.errors import RefusalKind, Refused, Unanswered
from clients.http import OpenGate
from models.canonical import (
    ApprovalReport,
    Identity,
    LineReference,
    LineStatus,
    Order,
    OrderStatus,
    Origin,
    PurchaseOrderReference,
    PurchaseOrderState,
    PurchaseOrderStatus,
    References,
    Tombstone,
    UnitType,
    Unreadable,
)

TOKEN = "s3cret"


class Axerrio:
    """An Axerrio that gives one answer and keeps what it was asked."""

    def __init__(self, answer: Any, status: int = 200, tenant: str | None = "farm1") -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.asked: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return httpx.Response(status, content=content)

        self.client = AxerrioClient(
            AxerrioSettings(base_url="https://axerrio.example/", token_env="T", tenant=tenant),
            TOKEN,
            timeout=2.0,
            gate=OpenGate(),
            transport=httpx.MockTransport(handle),
        )

    def page(self) -> tuple[FeedRecord, ...]:
        return self.client.sales_orders_after(900).records


def order_record(**changes: Any) -> dict[str, Any]:
    return {
        "key": "SO-48210",
        "number": "2026-48210",
        "sequence": 901,
        "version": 2,
        "isDeleted": False,
        "status": "confirmed",
        "origin": "axerrio",
        "buyer": {"code": "MIAFLOWERS", "name": "Miami Flowers Inc"},
        "carrierCode": "ARM",
        "locationCode": "MIA",
        "customerReference": "PO 77123",
        "currency": "USD",
        "comments": "",
        "departureDate": "2026-11-24",
        "truckDate": "2026-11-26",
        "lines": [line_record()],
        "externalReferences": [],
        "createdAt": "2026-11-20T09:12:00+01:00",
        "novelty": {"a": 1},
        **changes,
    }


def line_record(**changes: Any) -> dict[str, Any]:
    return {
        "lineKey": "1",
        "status": "open",
        "article": {"code": "RFREE50", "description": "Rose Freedom 50 cm"},
        "packing": {"code": "HB"},
        "boxes": 4,
        "bunchesPerBox": 10,
        "stemsPerBunch": 25,
        "unitType": "stem",
        "unitPrice": "0.35",
        "unitCost": "0.28",
        "markCode": "DOCK2",
        "notes": "",
        "breakdown": [],
        **changes,
    }


def paged(*records: Any) -> dict[str, Any]:
    return {"maximumSequence": 950, "results": list(records)}


def read_order(record: dict[str, Any]) -> Order:
    (only,) = Axerrio(paged(record)).page()
    assert isinstance(only.content, Order), only.content
    return only.content


class TestFeed:
    def test_reads_an_order(self) -> None:
        axerrio = Axerrio(paged(order_record()))
        page = axerrio.client.sales_orders_after(900, 50)
        order = page.records[0].content
        assert isinstance(order, Order)
        assert page.maximum_sequence == 950
        assert page.records[0].sequence == 901
        assert (order.key, order.version, order.status, order.origin) == (
            "SO-48210",
            2,
            OrderStatus.CONFIRMED,
            Origin.AXERRIO,
        )
        assert (order.departure_date, order.truck_date) == (date(2026, 11, 24), date(2026, 11, 26))
        assert order.created_at == datetime(2026, 11, 20, 8, 12, tzinfo=UTC)
        (line,) = order.lines
        assert (line.unit_cost, line.unit_type, line.status) == (Decimal("0.28"), UnitType.STEM, LineStatus.OPEN)
        assert line.departure_date == date(2026, 11, 24)
        assert order.references is None
        request = axerrio.asked[0]
        assert str(request.url) == "https://axerrio.example/api/v1/sales-orders/sync/900?limit=50"
        assert request.headers["authorization"] == "Bearer s3cret"
        assert request.headers["x-tenant-id"] == "farm1"
        assert len(request.headers["x-correlation-id"]) == 36
        assert "idempotency-key" not in request.headers

    def test_no_tenant_no_header(self) -> None:
        axerrio = Axerrio(paged(), tenant=None)
        axerrio.page()
        assert "x-tenant-id" not in axerrio.asked[0].headers

    def test_a_line_of_its_own_day_and_a_mixed_one(self) -> None:
        part = {"article": {"code": "A"}, "bunches": "5", "stemsPerBunch": 25.0, "unitPrice": 8.75}
        lines = [line_record(departureDate="2026-11-23"), line_record(lineKey=2, breakdown=[part])]
        first, second = read_order(order_record(lines=lines)).lines
        assert first.departure_date == date(2026, 11, 23)
        assert second.line_key == "2"
        assert second.is_mixed
        assert (second.breakdown[0].bunches, second.breakdown[0].unit_price) == (5, Decimal("8.75"))

    def test_references_of_komet_only(self) -> None:
        komet = {
            "system": "komet",
            "prebookId": "991201",
            "prebookNumber": 4343,
            "purchaseOrders": [{"id": 70012, "number": "70012"}],
            "lines": [{"lineKey": "1", "prebookId": "991201", "prebookItemId": "881", "purchaseOrderItemId": None}],
        }
        order = read_order(order_record(externalReferences=[{"system": "other", "lines": 3}, komet]))
        assert order.references == References(
            prebook_id="991201",
            prebook_number="4343",
            purchase_orders=(PurchaseOrderReference(id="70012", number="70012"),),
            lines=(LineReference(line_key="1", prebook_id="991201", prebook_item_id="881"),),
        )

    @pytest.mark.parametrize("missing", ["comments", "currency", "carrierCode", "createdAt", "externalReferences"])
    def test_what_may_be_missing_or_null(self, missing: str) -> None:
        record = order_record(**{missing: None})
        assert read_order(record) == read_order({k: v for k, v in record.items() if k != missing})

    @pytest.mark.parametrize("price", [0.35, "0.35", "0.350"])
    def test_decimals_are_exact(self, price: Any) -> None:
        assert read_order(order_record(lines=[line_record(unitPrice=price)])).lines[0].unit_price == Decimal("0.35")

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (order_record(truckDate=None), "truckDate is missing"),
            (order_record(truckDate="26-11-2026"), "truckDate = '26-11-2026': is not a date YYYY-MM-DD"),
            (order_record(truckDate="2026-11-26T00:00:00Z"), "truckDate = '2026-11-26T00:00:00Z': is not a date"),
            (order_record(status="parked"), "status = 'parked': "),
            (order_record(origin=None), "origin is missing"),
            (order_record(version=None), "version is missing"),
            (order_record(buyer={"name": "x"}), "buyer.code is missing"),
            (order_record(lines=None), "lines is missing"),
            (order_record(createdAt="2026-11-20T09:12:00"), "createdAt = '2026-11-20T09:12:00': is not a time"),
            (order_record(createdAt="0001-01-01T00:00:00+10:00"), "createdAt = "),
            (order_record(isDeleted="perhaps"), "isDeleted = 'perhaps': is neither 1 nor 0"),
            (order_record(lines=[line_record(boxes=4.5)]), "lines.0.boxes = '4.5': is not a whole number"),
            (order_record(lines=[line_record(boxes="1e999999999")]), "lines.0.boxes = "),
            (order_record(lines=[line_record(unitType="box")]), "lines.0.unitType = 'box': "),
            (order_record(lines=[line_record(unitPrice="NaN")]), "lines.0.unitPrice = 'NaN': is not a number"),
            (order_record(lines=[line_record(unitPrice=float("inf"))]), "lines.0.unitPrice = 'Infinity': is not a"),
            (order_record(lines=[line_record(unitPrice="1,5")]), "lines.0.unitPrice = '1,5': is not a number"),
            (order_record(lines=[line_record(unitPrice="0." + "3" * 20)]), "lines.0.unitPrice = "),
            (order_record(lines=[line_record(), line_record()]), "lines.lineKey = '1': stands on more than one"),
            (order_record(externalReferences=[{"system": "komet", "lines": 3}]), "lines = '3': "),
        ],
    )
    def test_a_malformed_record_is_put_aside_alone(self, record: dict[str, Any], reason: str) -> None:
        bad, good = Axerrio(paged(record, order_record(key="SO-2", sequence=902))).page()
        assert isinstance(bad.content, Unreadable)
        assert bad.content.reason.startswith(reason)
        assert (bad.content.sequence, bad.sequence, bad.content.key) == (901, 901, "SO-48210")
        assert '"SO-48210"' in bad.content.raw
        assert isinstance(good.content, Order)

    @pytest.mark.parametrize("sequence", [None, "soon", -1, 2**63, 1.5, True, []])
    def test_a_sequence_that_cannot_be_used(self, sequence: Any) -> None:
        bad, good = Axerrio(paged(order_record(sequence=sequence), order_record())).page()
        assert bad.sequence is None
        assert isinstance(bad.content, Unreadable)
        assert good.sequence == 901

    @pytest.mark.parametrize("record", [None, 7, "x", []])
    def test_no_record_at_all(self, record: Any) -> None:
        (only,) = Axerrio(paged(record)).page()
        assert isinstance(only.content, Unreadable)
        assert only.raw == json.dumps(record)

    def test_tombstones(self) -> None:
        deleted, nameless = Axerrio(
            paged({"key": "SO-1", "sequence": "7", "isDeleted": True}, {"sequence": 8, "isDeleted": True})
        ).page()
        assert (deleted.sequence, deleted.content) == (7, Tombstone(key="SO-1"))
        assert isinstance(nameless.content, Unreadable)

    def test_raw_goes_into_a_json_column(self) -> None:
        (only,) = Axerrio(paged(order_record(weight=1.10))).page()
        assert isinstance(only.raw, dict)
        assert only.raw["weight"] == "1.1"
        assert json.loads(json.dumps(only.raw)) == only.raw

    @pytest.mark.parametrize(
        "answer",
        [
            {},
            {"results": []},
            {"maximumSequence": 1},
            {"maximumSequence": None, "results": []},
            {"maximumSequence": "x", "results": []},
            {"maximumSequence": 1, "results": {}},
            [],
            "x",
        ],
    )
    def test_no_page(self, answer: Any) -> None:
        with pytest.raises(Unanswered):
            Axerrio(answer).page()


class TestIdentity:
    def test_is_read(self) -> None:
        answer = {
            "tenantId": "farm1",
            "name": "Farm",
            "timeZone": "America/Bogota",
            "clock": "2026-11-24T05:00:00-05:00",
        }
        assert Axerrio(answer).client.identity() == Identity(
            tenant_id="farm1", name="Farm", time_zone="America/Bogota", clock=datetime(2026, 11, 24, 10, tzinfo=UTC)
        )
        assert Axerrio({"tenantId": "farm1"}).client.identity().clock is None

    @pytest.mark.parametrize("answer", [{}, {"tenantId": "x", "clock": "noon"}, []])
    def test_is_not_guessed(self, answer: Any) -> None:
        with pytest.raises(Unanswered):
            Axerrio(answer).client.identity()


class TestWrites:
    REFERENCES = References(
        prebook_id="991201",
        prebook_number="4343",
        purchase_orders=(PurchaseOrderReference(id="70012", number="70012"),),
        lines=(LineReference(line_key="1", prebook_id="991201", prebook_item_id="881"),),
    )
    STATES = (PurchaseOrderState(number="70012", status=PurchaseOrderStatus.CONFIRMED),)

    def test_references(self) -> None:
        body = references_body(self.REFERENCES)
        assert body == {
            "prebookId": "991201",
            "prebookNumber": "4343",
            "purchaseOrders": [{"id": "70012", "number": "70012"}],
            "lines": [
                {
                    "lineKey": "1",
                    "prebookId": "991201",
                    "prebookItemId": "881",
                    "purchaseOrderItemId": None,
                    "purchaseOrderNumber": None,
                }
            ],
        }
        axerrio = Axerrio(body)
        steps: list[int] = []
        stored = axerrio.client.put_references(
            "SO/1 ?", body, idempotency_key="k1", before_send=lambda: steps.append(len(axerrio.asked))
        )
        assert stored == self.REFERENCES
        assert steps == [0]
        request = axerrio.asked[0]
        assert request.method == "PUT"
        assert request.url.raw_path == b"/api/v1/sales-orders/SO%2F1%20%3F/external-references/komet"
        assert request.headers["idempotency-key"] == "k1"
        assert json.loads(request.content) == body

    def test_procurement_status(self) -> None:
        when = datetime(2026, 11, 24, 12, tzinfo=timezone(timedelta(hours=2)))
        body = procurement_body(PurchaseOrderStatus.SHIPPED, self.STATES, when)
        assert body == {
            "status": "approved",
            "purchaseOrders": [{"number": "70012", "status": "approved"}],
            "changedAt": "2026-11-24T10:00:00+00:00",
        }
        axerrio = Axerrio({"status": "pending", "purchaseOrders": [{"number": 7, "status": "rejected"}]})
        assert axerrio.client.put_procurement_status("SO-1", body, idempotency_key="k") == ApprovalReport(
            status=PurchaseOrderStatus.PENDING,
            purchase_orders=(PurchaseOrderState(number="7", status=PurchaseOrderStatus.CANCELLED),),
        )
        assert axerrio.asked[0].url.path == "/api/v1/sales-orders/SO-1/procurement-status"

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (PurchaseOrderStatus.PENDING, "pending"),
            (PurchaseOrderStatus.CANCELLED, "cancelled"),
            (PurchaseOrderStatus.APPROVED, "approved"),
        ],
    )
    def test_words(self, status: PurchaseOrderStatus, word: str) -> None:
        assert procurement_body(status, (), datetime(2026, 1, 1, tzinfo=UTC))["status"] == word

    @pytest.mark.parametrize("answer", [{"lines": [{}]}, [], {"lines": 1}])
    def test_an_answer_that_is_not_the_stored_body(self, answer: Any) -> None:
        with pytest.raises(Unanswered):
            Axerrio(answer).client.put_references("SO-1", {}, idempotency_key="k")

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, RefusalKind.INVALID),
            (422, RefusalKind.INVALID),
            (404, RefusalKind.GONE),
            (410, RefusalKind.GONE),
            (409, RefusalKind.CONFLICT),
            (412, RefusalKind.CONFLICT),
            (401, RefusalKind.TOKEN),
            (403, RefusalKind.RIGHT),
            (429, RefusalKind.LIMIT),
            (418, RefusalKind.OTHER),
        ],
    )
    def test_refusals(self, status: int, kind: RefusalKind) -> None:
        problem = {
            "title": "Validation",
            "detail": f"wrong field, {TOKEN}",
            "code": "validation",
            "errors": [{"pointer": "/lines/0/prebookId", "message": "too long"}, 3, {}],
        }
        with pytest.raises(Refused) as caught:
            Axerrio(problem, status).client.put_references("SO-1", {}, idempotency_key="k")
        assert caught.value.kind is kind
        assert "wrong field, …" in caught.value.detail
        assert TOKEN not in str(caught.value)
        if kind not in (RefusalKind.TOKEN, RefusalKind.RIGHT, RefusalKind.LIMIT):
            assert "/lines/0/prebookId: too long" in caught.value.detail

    @pytest.mark.parametrize("problem", [[], {}, 3, None, {"errors": 3}, {"detail": 3}])
    def test_refusals_without_words(self, problem: Any) -> None:
        with pytest.raises(Refused):
            Axerrio(problem, 409).client.put_references("SO-1", {}, idempotency_key="k")
