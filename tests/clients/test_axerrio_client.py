import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest

from clients.axerrio.bodies import inbound_body, procurement_body, references_body
from clients.axerrio.client import AxerrioClient, FeedPage, FeedRecord
from clients.axerrio.settings import AxerrioSettings
from clients.errors import RefusalKind, Refused, Unanswered
from clients.http import OpenGate
from models.canonical import (
    ApprovalReport,
    Article,
    CatalogueArticle,
    Component,
    Identity,
    InboundLine,
    InboundOrder,
    InboundStatus,
    Label,
    LabelState,
    Line,
    LineReference,
    LineStatus,
    Order,
    OrderStatus,
    Origin,
    PurchaseOrderReference,
    PurchaseOrderState,
    PurchaseOrderStatus,
    References,
    Shipment,
    ShipmentLine,
    Tombstone,
    UnitType,
    Unreadable,
)
from tests.clients.orders import line, mixed_line, order
from tests.clients.sockets import Behaviour, answering, serving
from tests.clients.test_http import shown

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
        return self.client.sales_orders_after(900, 200).records


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
        ("price", "kept"),
        [
            ("0.28000000000000003", "0.28"),
            (0.1 + 0.2, "0.3"),
            ("0.0000000000015", "0.000000000002"),
            ("0.0000000000025", "0.000000000002"),
            ("0." + "3" * 20, "0." + "3" * 12),
        ],
    )
    def test_what_is_finer_than_twelve_digits_is_rounded_to_even(self, price: Any, kept: str) -> None:
        assert read_order(order_record(lines=[line_record(unitPrice=price)])).lines[0].unit_price == Decimal(kept)

    @pytest.mark.parametrize("time", ["2026-11-20t09:12:00+01:00", "2026-11-20T08:12:00z", "2026-11-20t08:12:00z"])
    def test_a_time_may_be_written_in_small_letters(self, time: str) -> None:
        assert read_order(order_record(createdAt=time)).created_at == datetime(2026, 11, 20, 8, 12, tzinfo=UTC)

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
            (order_record(createdAt="9999-12-31T23:59:59-10:00"), "createdAt = "),
            (order_record(truckDate="9999-12-31"), "truckDate = '9999-12-31': is not a date of this century"),
            (order_record(departureDate="0001-01-01T00:00:00"), "departureDate is missing"),
            (order_record(number="x" * 601), f"number = '{'x' * 80}': has more than 600 characters"),
            (order_record(isDeleted="perhaps"), "isDeleted = 'perhaps': is neither 1 nor 0"),
            (order_record(lines=[line_record(boxes=4.5)]), "lines.0.boxes = '4.5': is not a whole number"),
            (order_record(lines=[line_record(boxes="1e999999999")]), "lines.0.boxes = "),
            (order_record(lines=[line_record(unitType="box")]), "lines.0.unitType = 'box': "),
            (order_record(lines=[line_record(unitPrice="NaN")]), "lines.0.unitPrice = 'NaN': is not a number"),
            (order_record(lines=[line_record(unitPrice=float("inf"))]), "lines.0.unitPrice = 'Infinity': is not a"),
            (order_record(lines=[line_record(unitPrice="1,5")]), "lines.0.unitPrice = '1,5': is not a number"),
            (
                order_record(lines=[line_record(unitPrice="3" * 20)]),
                f"lines.0.unitPrice = '{'3' * 20}': has too many digits",
            ),
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
        assert only.content.raw == json.dumps(record)

    def test_tombstones(self) -> None:
        deleted, nameless = Axerrio(
            paged({"key": "SO-1", "sequence": "7", "isDeleted": True}, {"sequence": 8, "isDeleted": True})
        ).page()
        assert (deleted.sequence, deleted.content) == (7, Tombstone(key="SO-1"))
        assert isinstance(nameless.content, Unreadable)

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


def bare(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


class TestBornInKomet:
    def record(self, **changes: Any) -> dict[str, Any]:
        part = {"article": {"description": "Rose Mondial"}}
        sparse = {
            "lineKey": "2",
            "externalLineId": "882",
            "status": "open",
            "article": {"description": "Mixed roses"},
            "packing": {"code": "QB"},
            "boxes": 2,
            "breakdown": [part],
        }
        full = line_record(externalLineId=881, departureDate="2026-11-23")
        given = order_record(origin="komet", externalId="komet-MIA-991201", lines=[full, sparse], **changes)
        return bare(given, "departureDate")

    def test_may_lack_what_komet_did_not_show(self) -> None:
        order = read_order(self.record())
        assert (order.external_id, order.departure_date) == ("komet-MIA-991201", None)
        first, second = order.lines
        assert (first.external_line_id, first.departure_date) == ("881", date(2026, 11, 23))
        assert second == Line(
            line_key="2",
            external_line_id="882",
            status=LineStatus.OPEN,
            article=Article(code="", description="Mixed roses"),
            packing_code="QB",
            boxes=2,
            bunches_per_box=0,
            stems_per_bunch=0,
            unit_type=UnitType.STEM,
            departure_date=None,
            breakdown=(Component(article=Article(code="", description="Rose Mondial"), bunches=0, stems_per_bunch=0),),
        )

    @pytest.mark.parametrize("origin", ["axerrio", "other"])
    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (bare(order_record(), "departureDate"), "departureDate is missing"),
            (order_record(lines=[bare(line_record(), "unitType")]), "lines.0.unitType is missing"),
            (order_record(lines=[line_record(bunchesPerBox=None)]), "lines.0.bunchesPerBox is missing"),
            (order_record(lines=[line_record(stemsPerBunch="")]), "lines.0.stemsPerBunch is missing"),
            (order_record(lines=[line_record(article={"description": "x"})]), "lines.0.article.code is missing"),
            (
                order_record(lines=[line_record(breakdown=[{"article": {"code": "x"}, "stemsPerBunch": 1}])]),
                "lines.0.breakdown.0.bunches is missing",
            ),
            (
                order_record(
                    lines=[line_record(breakdown=[{"article": {"description": "x"}, "bunches": 1, "stemsPerBunch": 1}])]
                ),
                "lines.0.breakdown.0.article.code is missing",
            ),
        ],
    )
    def test_no_other_may(self, origin: str, record: dict[str, Any], reason: str) -> None:
        (only,) = Axerrio(paged({**record, "origin": origin})).page()
        assert isinstance(only.content, Unreadable)
        assert only.content.reason == reason
        assert isinstance(Axerrio(paged({**record, "origin": "komet"})).page()[0].content, Order)

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (order_record(lines=[line_record(unitType="box")]), "lines.0.unitType = 'box': "),
            (order_record(lines=[line_record(bunchesPerBox=1.5)]), "lines.0.bunchesPerBox = '1.5': "),
            (order_record(lines=[line_record(packing=None)]), "lines.0.packing is missing"),
            (order_record(departureDate="soon"), "departureDate = 'soon': "),
            (order_record(truckDate=None), "truckDate is missing"),
            (order_record(buyer={"name": "x"}), "buyer.code is missing"),
        ],
    )
    def test_what_is_there_must_be_sound(self, record: dict[str, Any], reason: str) -> None:
        (only,) = Axerrio(paged({**record, "origin": "komet"})).page()
        assert isinstance(only.content, Unreadable)
        assert only.content.reason.startswith(reason)


def label_record(**changes: Any) -> dict[str, Any]:
    return {
        "labelId": "L-1",
        "sequence": 77,
        "version": 1,
        "isDeleted": False,
        "salesOrderKey": "SO-48210",
        "lineKey": "1",
        "boxIndex": 1,
        "boxCount": 4,
        "boxCode": "AX0000012345",
        "symbology": "code128",
        "lotNumber": "234232",
        "state": "printed",
        **changes,
    }


def shipment_record(**changes: Any) -> dict[str, Any]:
    return {
        "key": "SH-9",
        "sequence": 12,
        "version": 1,
        "isDeleted": False,
        "shipDate": "2026-11-24",
        "awb": "729-1234 5675",
        "houseAwb": "CM-93242111",
        "isTemporaryAwb": False,
        "lines": [
            {"salesOrderKey": "SO-48210", "lineKey": "1", "boxes": 2, "boxCodes": ["AX0000012345", "AX0000012346"]}
        ],
        **changes,
    }


def article_record(**changes: Any) -> dict[str, Any]:
    return {"key": "A-100", "code": "RFREE50", "description": "Rose", "vbnCode": "1182", "sequence": 5, **changes}


Ask = Callable[[AxerrioClient, int, int], FeedPage]
FEEDS: dict[str, tuple[Ask, dict[str, Any], str]] = {
    "sales-orders": (AxerrioClient.sales_orders_after, order_record(), "key"),
    "labels": (AxerrioClient.labels_after, label_record(), "labelId"),
    "shipments": (AxerrioClient.shipments_after, shipment_record(), "key"),
    "articles": (AxerrioClient.articles_after, article_record(), "key"),
}


@pytest.mark.parametrize("feed", FEEDS)
class TestAllFeeds:
    def test_is_asked_for(self, feed: str) -> None:
        ask, record, _ = FEEDS[feed]
        axerrio = Axerrio(paged(record))
        page = ask(axerrio.client, 900, 50)
        assert page.maximum_sequence == 950
        assert page.records[0].sequence == record["sequence"]
        assert not isinstance(page.records[0].content, Unreadable | Tombstone)
        assert axerrio.asked[0].url.raw_path == f"/api/v1/{feed}/sync/900?limit=50".encode()

    def test_tombstones_may_lack_all_else(self, feed: str) -> None:
        ask, record, key = FEEDS[feed]
        gone = {key: "X-1", "sequence": "7", "isDeleted": True}
        whole = {**record, "isDeleted": 1}
        first, second = ask(Axerrio(paged(gone, whole)).client, 0, 9).records
        assert (first.sequence, first.content) == (7, Tombstone(key="X-1"))
        assert second.content == Tombstone(key=record[key])

    @pytest.mark.parametrize("record", [None, 7, "x", [], {}, {"sequence": 3}, {"sequence": 3, "isDeleted": True}])
    def test_no_record(self, feed: str, record: Any) -> None:
        ask, good, _ = FEEDS[feed]
        bad, fine = ask(Axerrio(paged(record, good)).client, 0, 9).records
        assert isinstance(bad.content, Unreadable)
        assert bad.content.key is None
        assert not isinstance(fine.content, Unreadable)

    def test_a_malformed_one_is_named_by_its_key(self, feed: str) -> None:
        ask, record, key = FEEDS[feed]
        other = "key" if key == "labelId" else "labelId"
        (bad,) = ask(Axerrio(paged({**record, "sequence": -1, other: "other"})).client, 0, 9).records
        assert isinstance(bad.content, Unreadable)
        assert bad.content.key == record[key]

    @pytest.mark.parametrize("answer", [{}, {"results": []}, {"maximumSequence": 1, "results": {}}, []])
    def test_no_page(self, feed: str, answer: Any) -> None:
        with pytest.raises(Unanswered):
            FEEDS[feed][0](Axerrio(answer).client, 0, 9)


class TestLabels:
    def read(self, record: dict[str, Any]) -> Label | str:
        (only,) = Axerrio(paged(record)).client.labels_after(0, 200).records
        if isinstance(only.content, Unreadable):
            assert only.content.key == "L-1"
            return only.content.reason
        assert isinstance(only.content, Label)
        return only.content

    def test_is_read(self) -> None:
        assert self.read(label_record()) == Label(
            key="L-1",
            version=1,
            order_key="SO-48210",
            line_key="1",
            box_index=1,
            box_code="AX0000012345",
            lot_number="234232",
            state=LabelState.PRINTED,
        )

    @pytest.mark.parametrize(
        ("code", "kept"), [("]C1 00ax", "]C1 00ax"), (" 0012\n", "0012"), (73992893, "73992893"), ("x" * 21, "x" * 21)]
    )
    def test_a_code_is_kept_to_the_letter(self, code: Any, kept: str) -> None:
        label = self.read(label_record(boxCode=code, lotNumber=234232))
        assert isinstance(label, Label)
        assert (label.box_code, label.lot_number) == (kept, "234232")

    @pytest.mark.parametrize("state", ["planned", "void"])
    def test_only_a_printed_one_has_a_code(self, state: str) -> None:
        label = self.read(label_record(state=state, boxCode=None, lotNumber=None))
        assert isinstance(label, Label)
        assert (label.box_code, label.lot_number) == ("", "")
        assert self.read(label_record(boxCode="  ")) == "boxCode is missing"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"boxIndex": 0}, "boxIndex = '0': "),
            ({"boxIndex": None}, "boxIndex is missing"),
            ({"state": "lost"}, "state = 'lost': "),
            ({"version": None}, "version is missing"),
            ({"salesOrderKey": ""}, "salesOrderKey is missing"),
            ({"lineKey": []}, "lineKey = '[]': "),
        ],
    )
    def test_malformed(self, change: dict[str, Any], reason: str) -> None:
        said = self.read(label_record(**change))
        assert isinstance(said, str)
        assert said.startswith(reason)


class TestShipments:
    def read(self, record: dict[str, Any]) -> Shipment | str:
        (only,) = Axerrio(paged(record)).client.shipments_after(0, 200).records
        if isinstance(only.content, Unreadable):
            return only.content.reason
        assert isinstance(only.content, Shipment)
        return only.content

    def test_is_read(self) -> None:
        more = {"salesOrderKey": 7, "lineKey": 2, "boxes": "1", "labelIds": ["L-9"]}
        lines = [*shipment_record()["lines"], more]
        assert self.read(shipment_record(lines=lines)) == Shipment(
            key="SH-9",
            version=1,
            ship_date=date(2026, 11, 24),
            awb="729-1234 5675",
            house_awb="CM-93242111",
            lines=(
                ShipmentLine(order_key="SO-48210", line_key="1", boxes=2, box_codes=("AX0000012345", "AX0000012346")),
                ShipmentLine(order_key="7", line_key="2", boxes=1, label_keys=("L-9",)),
            ),
        )

    def test_a_temporary_one_without_a_house(self) -> None:
        shipment = self.read(shipment_record(isTemporaryAwb=1, houseAwb=None, lines=[]))
        assert isinstance(shipment, Shipment)
        assert (shipment.is_temporary, shipment.house_awb, shipment.lines) == (True, "", ())

    @pytest.mark.parametrize("awb", [None, "", "  "])
    def test_one_whose_air_waybill_is_not_known_yet(self, awb: str | None) -> None:
        shipment = self.read(shipment_record(awb=awb))
        assert isinstance(shipment, Shipment)
        assert shipment.awb == ""

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"shipDate": "24.11.2026"}, "shipDate = '24.11.2026': "),
            ({"lines": None}, "lines is missing"),
            ({"lines": [{"salesOrderKey": "1", "boxes": 1}]}, "lines.0.lineKey is missing"),
            ({"lines": [{"salesOrderKey": "1", "lineKey": "1", "boxes": -1}]}, "lines.0.boxes = '-1': "),
            (
                {"lines": [{"salesOrderKey": "1", "lineKey": "1", "boxes": 1, "boxCodes": [None]}]},
                "lines.0.boxCodes.0 = 'None': ",
            ),
            ({"isTemporaryAwb": "perhaps"}, "isTemporaryAwb = 'perhaps': "),
        ],
    )
    def test_malformed(self, change: dict[str, Any], reason: str) -> None:
        said = self.read(shipment_record(**change))
        assert isinstance(said, str)
        assert said.startswith(reason)


def test_articles() -> None:
    records = [article_record(), article_record(description=None), article_record(code=None)]
    first, second, third = Axerrio(paged(*records)).client.articles_after(0, 200).records
    assert first.content == CatalogueArticle(key="A-100", code="RFREE50", description="Rose")
    assert second.content == CatalogueArticle(key="A-100", code="RFREE50", description="")
    assert isinstance(third.content, Unreadable)


class TestOneOrder:
    def test_is_read(self) -> None:
        axerrio = Axerrio(bare(order_record(), "sequence"))
        found = axerrio.client.order("SO/1")
        assert isinstance(found, Order)
        assert found.key == "SO-48210"
        assert axerrio.asked[0].method == "GET"
        assert axerrio.asked[0].url.raw_path == b"/api/v1/sales-orders/SO%2F1"
        assert "idempotency-key" not in axerrio.asked[0].headers

    def test_that_is_not_there(self) -> None:
        assert Axerrio({"code": "does-not-exist"}, 404).client.order("SO-1") is None
        assert Axerrio({"code": "deleted"}, 410).client.order("SO-1") == Tombstone(key="SO-1")
        assert Axerrio({"key": "SO-1", "isDeleted": True}).client.order("SO-1") == Tombstone(key="SO-1")

    @pytest.mark.parametrize(
        ("answer", "status"),
        [(b"<html>", 404), (b"", 404), (b"", 204), ({}, 200), ([], 200), (order_record(lines=3), 200)],
    )
    def test_a_broken_answer_says_nothing(self, answer: Any, status: int) -> None:
        with pytest.raises(Unanswered):
            Axerrio(answer, status).client.order("SO-1")

    @pytest.mark.parametrize("status", [400, 401, 403, 409, 429])
    def test_a_no_is_not_an_absence(self, status: int) -> None:
        axerrio = Axerrio({"code": "x"}, status)
        with pytest.raises(Refused):
            axerrio.client.order("SO-1")
        with pytest.raises(Refused):
            axerrio.client.inbound_order("SO-1")
        with pytest.raises(Refused):
            axerrio.client.delete_inbound_order("SO-1", idempotency_key="k")


class TestInboundBody:
    def test_golden(self) -> None:
        lines = (
            line("1", external_line_id="881", notes="fragile", unit_cost=Decimal("0.280"), unit_price=Decimal("1E+2")),
            mixed_line("2", external_line_id="882", packing_code="QB", unit_price=None, status=LineStatus.SHIPPED),
            line("3", external_line_id="883", status=LineStatus.CANCELLED),
        )
        what = order(*lines, origin=Origin.KOMET, carrier_code="ARM", location_code="MIA", currency="USD")
        body = inbound_body(what)
        assert json.loads(json.dumps(body)) == body
        assert body == {
            "origin": "komet",
            "buyer": {"code": "MIAFLOWERS", "name": "Miami Flowers Inc"},
            "carrierCode": "ARM",
            "locationCode": "MIA",
            "customerReference": "PO 77123",
            "currency": "USD",
            "comments": "Handle with care",
            "departureDate": "2026-11-24",
            "truckDate": "2026-11-26",
            "lines": [
                {
                    "externalLineId": "881",
                    "status": "open",
                    "article": {"code": "RFREE50", "description": "Rose Freedom 50 cm"},
                    "packing": {"code": "HB"},
                    "boxes": 4,
                    "bunchesPerBox": 10,
                    "stemsPerBunch": 25,
                    "unitType": "stem",
                    "unitPrice": "100",
                    "unitCost": "0.280",
                    "markCode": "DOCK2",
                    "notes": "fragile",
                    "departureDate": "2026-11-24",
                },
                {
                    "externalLineId": "882",
                    "status": "shipped",
                    "article": {"code": "MIXROSE", "description": "Mixed roses 50 cm"},
                    "packing": {"code": "QB"},
                    "boxes": 2,
                    "bunchesPerBox": 8,
                    "stemsPerBunch": 25,
                    "unitType": "bunch",
                    "unitCost": "0.28",
                    "markCode": "DOCK2",
                    "departureDate": "2026-11-24",
                    "breakdown": [
                        {
                            "article": {"code": "RFREE50", "description": "Rose Freedom 50 cm"},
                            "bunches": 5,
                            "stemsPerBunch": 25,
                            "unitPrice": "8.75",
                            "unitCost": "7.00",
                        },
                        {"article": {"code": "RMOND50", "description": "RMOND50"}, "bunches": 3, "stemsPerBunch": 25},
                    ],
                },
            ],
        }

    def test_leaves_out_what_komet_does_not_show(self) -> None:
        nameless = Article(code="", description="Roses White")
        sparse = line(
            external_line_id="881",
            article=nameless,
            bunches_per_box=0,
            stems_per_bunch=0,
            unit_price=None,
            unit_cost=None,
            mark_code="",
            departure_date=None,
            breakdown=(Component(article=nameless, bunches=0, stems_per_bunch=0),),
        )
        what = order(sparse, customer_reference="", comments="", departure_date=None, buyer_name="")
        assert inbound_body(what) == {
            "origin": "komet",
            "buyer": {"code": "MIAFLOWERS"},
            "truckDate": "2026-11-26",
            "lines": [
                {
                    "externalLineId": "881",
                    "status": "open",
                    "article": {"description": "Roses White"},
                    "packing": {"code": "HB"},
                    "boxes": 4,
                    "unitType": "stem",
                    "breakdown": [{"article": {"description": "Roses White"}}],
                }
            ],
        }

    @pytest.mark.parametrize("external_line_id", [None, ""])
    def test_a_line_of_no_prebook_item(self, external_line_id: str | None) -> None:
        with pytest.raises(ValueError, match="line 1 names no prebook item"):
            inbound_body(order(line(external_line_id=external_line_id)))

    def test_comes_back_as_it_went(self) -> None:
        """What the feed shows of an order that was made of our body is that order."""
        parts = tuple(
            Component(article=Article(code=code, description="Rose"), bunches=4, stems_per_bunch=25)
            for code in ("A", "")
        )
        lines = (line("1", external_line_id="881"), mixed_line("2", external_line_id="882", breakdown=parts))
        what = order(*lines, origin=Origin.KOMET, external_id="komet-MIA-1")
        body = inbound_body(what)
        stored = [{"lineKey": str(number), **each} for number, each in enumerate(body["lines"], start=1)]
        head = {"key": what.key, "number": what.number, "version": what.version, "sequence": 1}
        record = {**head, "status": "confirmed", **body, "lines": stored, "externalId": "komet-MIA-1"}
        assert read_order(record) == what


INBOUND = {
    "externalId": "komet-MIA-991201",
    "salesOrderKey": "SO-9",
    "salesOrderNumber": 20269,
    "status": "rejected",
    "lines": [
        {"lineKey": 1, "externalLineId": 881, "status": "accepted"},
        {"lineKey": None, "externalLineId": "882", "status": "rejected", "code": "unknown", "message": "No article"},
        {"externalLineId": "883", "status": "pending"},
        {"externalLineId": "884"},
    ],
}


class TestInboundOrders:
    READ = InboundOrder(
        external_id="komet-MIA-991201",
        order_key="SO-9",
        order_number="20269",
        status=InboundStatus.REJECTED,
        lines=(
            InboundLine(external_line_id="881", line_key="1", is_accepted=True),
            InboundLine(external_line_id="882", is_accepted=False, code="unknown", message="No article"),
            InboundLine(external_line_id="883", is_accepted=None),
            InboundLine(external_line_id="884", is_accepted=None),
        ),
    )

    @pytest.mark.parametrize("status", [200, 201])
    def test_put(self, status: int) -> None:
        axerrio = Axerrio(INBOUND, status)
        steps: list[int] = []
        found = axerrio.client.put_inbound_order(
            "komet/1",
            {"truckDate": "2026-11-26"},
            idempotency_key="k1",
            before_send=lambda: steps.append(len(axerrio.asked)),
        )
        assert found == self.READ
        assert steps == [0]
        (request,) = axerrio.asked
        assert (request.method, request.url.raw_path) == ("PUT", b"/api/v1/inbound-orders/komet%2F1")
        assert request.headers["idempotency-key"] == "k1"
        assert json.loads(request.content) == {"truckDate": "2026-11-26"}

    def test_get(self) -> None:
        axerrio = Axerrio(INBOUND)
        assert axerrio.client.inbound_order("komet-1") == self.READ
        assert axerrio.asked[0].method == "GET"
        pending = {"externalId": "x", "salesOrderKey": None, "salesOrderNumber": None, "status": "pending"}
        assert Axerrio(pending).client.inbound_order("x") == InboundOrder(external_id="x", status=InboundStatus.PENDING)

    @pytest.mark.parametrize("status", [404, 410])
    def test_that_is_not_there(self, status: int) -> None:
        axerrio = Axerrio({"code": "does-not-exist"}, status)
        assert axerrio.client.inbound_order("x") is None
        assert axerrio.client.delete_inbound_order("x", idempotency_key="k") is False

    @pytest.mark.parametrize(
        "change", [{"externalId": None}, {"status": "parked"}, {"lines": [{}]}, {"lines": 3}, {"salesOrderKey": []}]
    )
    def test_is_not_guessed(self, change: dict[str, Any]) -> None:
        axerrio = Axerrio({**INBOUND, **change})
        with pytest.raises(Unanswered):
            axerrio.client.inbound_order("x")
        with pytest.raises(Unanswered):
            axerrio.client.put_inbound_order("x", {}, idempotency_key="k")

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("already-exists", RefusalKind.EXISTS),
            ("immutable", RefusalKind.CONFLICT),
            ("version-conflict", RefusalKind.OTHER),
            ("", RefusalKind.OTHER),
        ],
    )
    def test_conflicts_say_which(self, code: str, kind: RefusalKind) -> None:
        axerrio = Axerrio({"code": code, "detail": "no"}, 409)
        with pytest.raises(Refused) as caught:
            axerrio.client.put_inbound_order("x", {}, idempotency_key="k")
        assert (caught.value.kind, caught.value.code) == (kind, code)
        with pytest.raises(Refused) as caught:
            axerrio.client.delete_inbound_order("x", idempotency_key="k")
        assert (caught.value.kind, caught.value.code) == (kind, code)
        assert len(axerrio.asked) == 2, "no call is followed by another"

    @pytest.mark.parametrize("code", [None, 3, {}, f"x {TOKEN}"])
    def test_a_code_of_another_kind(self, code: Any) -> None:
        with pytest.raises(Refused) as caught:
            Axerrio({"code": code}, 409).client.put_inbound_order("x", {}, idempotency_key="k")
        assert caught.value.kind is RefusalKind.OTHER
        assert caught.value.code == ("x …" if isinstance(code, str) else "")
        assert TOKEN not in shown(caught.value)

    def test_delete_over_a_real_socket(self) -> None:
        nothing = b"HTTP/1.1 204 No Content\r\n\r\n"
        with serving(lambda connection: connection.sendall(nothing)) as server:
            client = AxerrioClient(
                AxerrioSettings(base_url=server.url, token_env="T"), TOKEN, timeout=2.0, gate=OpenGate()
            )
            steps: list[int] = []
            for _ in range(2):
                assert client.delete_inbound_order(
                    "komet-1", idempotency_key="k1", before_send=lambda: steps.append(len(server.requests))
                )
            client.close()
        assert steps == [0, 1]
        assert server.connections == 1
        head = server.requests[0].lower()
        assert head.startswith(b"delete /api/v1/inbound-orders/komet-1 http/1.1\r\n")
        assert b"idempotency-key: k1\r\n" in head
        assert b"x-correlation-id: " in head

    @pytest.mark.parametrize("behave", [answering("<html>"), answering(""), answering("{}", "503 Busy")])
    def test_a_delete_without_a_usable_answer(self, behave: Behaviour) -> None:
        with serving(behave) as server:
            client = AxerrioClient(
                AxerrioSettings(base_url=server.url, token_env="T"), TOKEN, timeout=2.0, gate=OpenGate()
            )
            with pytest.raises(Unanswered):
                client.delete_inbound_order("komet-1", idempotency_key="k1")
            client.close()


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

    @pytest.mark.parametrize("answer", [{}, {"tenantId": None}, {"clock": "noon"}, {"clock": 7}])
    def test_may_name_no_tenant_and_no_time(self, answer: Any) -> None:
        identity = Axerrio(answer).client.identity()
        assert (identity.tenant_id, identity.clock) == ("", None)

    @pytest.mark.parametrize("answer", [{"tenantId": []}, {"timeZone": {}}, []])
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

    @pytest.mark.parametrize("answer", [{}, {"status": "parked"}, {"status": "approved", "purchaseOrders": [{}]}])
    def test_an_approval_is_not_guessed(self, answer: Any) -> None:
        with pytest.raises(Unanswered):
            Axerrio(answer).client.put_procurement_status("SO-1", {}, idempotency_key="k")

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, RefusalKind.INVALID),
            (422, RefusalKind.INVALID),
            (404, RefusalKind.GONE),
            (410, RefusalKind.GONE),
            (409, RefusalKind.OTHER),
            (412, RefusalKind.OTHER),
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


class CountingGate(OpenGate):
    """A gate that keeps what went through it."""

    def __init__(self) -> None:
        self.entered: list[tuple[str, bool]] = []

    def enter(self, operation: str, *, write: bool, patience: float) -> None:  # noqa: ARG002
        self.entered.append((operation, write))


def test_the_gate_is_told_what_comes() -> None:
    gate = CountingGate()
    client = AxerrioClient(
        AxerrioSettings(base_url="https://axerrio.example/", token_env="T"),
        TOKEN,
        timeout=2.0,
        gate=gate,
        transport=httpx.MockTransport(lambda _: httpx.Response(404, json={})),
    )
    client.order("1")
    client.inbound_order("1")
    client.delete_inbound_order("1", idempotency_key="k")
    calls: list[Callable[[], object]] = [
        client.identity,
        lambda: client.labels_after(0, 200),
        lambda: client.put_inbound_order("1", {}, idempotency_key="k"),
    ]
    for call in calls:
        with pytest.raises(Refused):
            call()
    assert gate.entered == [
        ("sales-orders.get", False),
        ("inbound-orders.get", False),
        ("inbound-orders.delete", True),
        ("identity", False),
        ("labels.sync", False),
        ("inbound-orders.put", True),
    ]
