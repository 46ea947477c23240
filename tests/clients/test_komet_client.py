import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest

from clients.errors import ClientError, RefusalKind, Refused, Unanswered
from clients.http import OpenGate
from clients.komet.bodies import prebook_item_delete_body, purchase_order_item_delete_body
from clients.komet.client import (
    AwbResult,
    BoxCodeResult,
    KometClient,
    Listing,
    PrebookCreated,
    PurchaseOrderCreated,
)
from models.canonical import (
    BoxType,
    Carrier,
    Prebook,
    PrebookComponent,
    PrebookItem,
    PurchaseOrder,
    PurchaseOrderItem,
    PurchaseOrderStatus,
    UnitType,
)
from tests.clients.orders import settings
from tests.clients.sockets import Behaviour, answering, closing, cutting, resetting, serving, silent
from tests.clients.test_http import shown

TOKEN = "s3cret"


class Komet:
    """A Komet that gives one answer and keeps what it was asked."""

    def __init__(self, answer: Any, status: int = 200, **changes: Any) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.asked: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return httpx.Response(status, content=content, headers={"Date": "Tue, 24 Nov 2026 10:00:00 GMT"})

        self.client = KometClient(
            settings(**changes), TOKEN, timeout=2.0, gate=OpenGate(), transport=httpx.MockTransport(handle)
        )

    def prebooks(self) -> Listing[Prebook]:
        return self.client.list_prebooks(truck_date=date(2026, 11, 26))

    def purchase_orders(self) -> Listing[PurchaseOrder]:
        return self.client.list_purchase_orders(ship_date=date(2026, 11, 24))


def prebook(**changes: Any) -> dict[str, Any]:
    detail = {
        "prebookItemId": 881,
        "productId": 999,
        "productDescription": "Rose Freedom 50 cm",
        "totalBoxes": 4,
        "boxType": "HB",
        "bunches": 10,
        "stemsBunch": 25,
        "unitType": "Stem",
        "markCode": "DOCK2",
        "cost": 0.28,
        "vendorShipDate": "2026-11-24",
        "brandId": 1,
    }
    return {
        "id": 991201,
        "number": 4343,
        "customerCode": "C100",
        "truckDate": "2026-11-26",
        "comments": "Axerrio 1 [AX:0123456XYZ]",
        "details": [{**detail, **changes}],
    }


def listed(*prebooks: Any, status: Any = 1) -> dict[str, Any]:
    return {"message": "OK", "status": status, "prebooks": list(prebooks)}


def item_of(answer: dict[str, Any], **changes: Any) -> PrebookItem:
    listing = Komet(listed(answer), **changes).prebooks()
    assert listing.complete, listing.unreadable
    return listing.records[0].items[0]


class TestLists:
    def test_box_types_as_the_page_shows_them(self) -> None:
        komet = Komet(
            b'{"status":"1","message":"OK","boxtypes":[{"code":"FB","kometNetworkName":"FB","fbe":1,"id":1056,'
            b'"kometNetworkId":900},{"code":"HB","fbe":0.5,"id":1057},{"code":"QB","id":"1058"}]}'
        )
        assert komet.client.list_box_types().records == (
            BoxType(box_type_id="1056", code="FB", fbe=Decimal(1)),
            BoxType(box_type_id="1057", code="HB", fbe=Decimal("0.5")),
            BoxType(box_type_id="1058", code="QB", fbe=Decimal(0)),
        )
        assert str(komet.asked[0].url) == "http://127.0.0.1/api/boxtype.list?authenticationToken=s3cret"

    def test_carriers_with_the_envelope_at_the_end(self) -> None:
        komet = Komet(
            b'{"carriers":[{"id":1878,"code":"ARM","name":"Armellini","active":1,"phone":"1 (888) 247-2262"},'
            b'{"id":"2","code":7,"active":"0"}],"status":"1","message":"OK"}'
        )
        assert komet.client.list_carriers().records == (
            Carrier(carrier_id="1878", code="ARM", name="Armellini", active=True),
            Carrier(carrier_id="2", code="7", name="", active=False),
        )

    def test_prebooks(self) -> None:
        komet = Komet(listed(prebook()))
        assert komet.prebooks() == Listing(
            records=(
                Prebook(
                    prebook_id="991201",
                    number="4343",
                    customer_code="C100",
                    truck_date=date(2026, 11, 26),
                    comments="Axerrio 1 [AX:0123456XYZ]",
                    mark="0123456XYZ",
                    items=(
                        PrebookItem(
                            item_id="881",
                            product_description="Rose Freedom 50 cm",
                            product_id="999",
                            mapped=True,
                            boxes=4,
                            box_type="HB",
                            bunches_per_box=10,
                            stems_per_bunch=25,
                            unit_type=UnitType.STEM,
                            mark_code="DOCK2",
                            cost=Decimal("0.28"),
                            ship_date=date(2026, 11, 24),
                        ),
                    ),
                ),
            ),
            unreadable=(),
            complete=True,
            served_at=datetime(2026, 11, 24, 10, tzinfo=UTC),
        )
        assert dict(komet.asked[0].url.params) == {"authenticationToken": TOKEN, "date": "2026-11-26"}

    def test_purchase_orders(self) -> None:
        order = {
            "id": 70012,
            "number": "70012K",
            "shipDate": "2026-11-24",
            "status": "PA",
            "details": [
                {
                    "poItemId": 7828,
                    "prebookItemId": 881,
                    "productDescription": "Rose",
                    "totalBoxes": "4",
                    "boxes": [{"boxCode": "AX1", "statusId": 3}, {"lotNumber": 7}],
                },
                {"poItemId": 7829, "prebookItemId": 0, "totalBoxes": 1},
            ],
        }
        komet = Komet({"status": 1, "purchaseOrders": [order, {"id": 1, "number": 2, "status": "Q"}]})
        first, second = komet.purchase_orders().records
        assert (first.purchase_order_id, first.number, first.status) == ("70012", "70012K", PurchaseOrderStatus.PENDING)
        assert [(each.prebook_item_id, each.boxes, each.box_codes) for each in first.items] == [
            ("881", 4, ("AX1",)),
            (None, 1, ()),
        ]
        assert (second.status, second.status_text, second.items, second.ship_date) == (None, "Q", (), None)
        assert dict(komet.asked[0].url.params) == {"authenticationToken": TOKEN, "date": "2026-11-24"}

    def test_all_that_a_prebook_says_of_its_customer(self) -> None:
        answer = {**prebook(), "customerName": "Miami Flowers", "customerPONumber": 77123, "carrierId": 1878}
        (found,) = Komet(listed(answer)).prebooks().records
        assert (found.customer_name, found.customer_reference, found.carrier_id) == ("Miami Flowers", "77123", "1878")
        for nothing in (None, "", 0):
            answer = {**prebook(), "customerName": None, "customerPONumber": "", "carrierId": nothing}
            (found,) = Komet(listed(answer)).prebooks().records
            assert (found.customer_name, found.customer_reference, found.carrier_id) == (None, "", None)

    def test_prebooks_by_the_vendors_days_and_by_change(self) -> None:
        komet = Komet(listed())
        when = datetime(2026, 11, 24, 1, 2, 3, 999_999, tzinfo=timezone(timedelta(hours=2)))
        komet.client.list_prebooks(ship_dates=(date(2026, 11, 23), date(2027, 5, 22)), updated_since=when)
        assert dict(komet.asked[0].url.params) == {
            "authenticationToken": TOKEN,
            "vendorShipDateFrom": "2026-11-23",
            "vendorShipDateTo": "2027-05-22",
            "updatedAsOf": "2026-11-23 23:02:03",
        }
        with pytest.raises(ValueError, match="offset"):
            komet.client.list_prebooks(truck_date=date(2026, 11, 26), updated_since=datetime(2026, 11, 24))  # noqa: DTZ001
        assert len(komet.asked) == 1

    def test_all_that_a_purchase_orders_item_says(self) -> None:
        detail = {
            "poItemId": 7828,
            "prebookItemId": "881",
            "productId": 999,
            "productDescription": "Rose Freedom 50 cm",
            "totalBoxes": 4,
            "boxType": "HB",
            "bunches": "10",
            "stemsBunch": 25,
            "unitCost": 0.280,
            "cost": 7,
            "markCode": "DOCK2",
            "boxes": [{"boxCode": " 0012 AX\n"}, {"boxCode": 73992893}, {"boxCode": ""}],
        }
        order = {"id": 1, "number": 2, "details": [detail, {"poItemId": 1, "totalBoxes": 2, "cost": "0.5"}]}
        (found,) = Komet({"status": 1, "purchaseOrders": [order]}).purchase_orders().records
        assert found.items == (
            PurchaseOrderItem(
                item_id="7828",
                prebook_item_id="881",
                product_description="Rose Freedom 50 cm",
                product_id="999",
                boxes=4,
                box_type="HB",
                bunches_per_box=10,
                stems_per_bunch=25,
                cost=Decimal("0.28"),
                mark_code="DOCK2",
                box_codes=("0012 AX", "73992893"),
            ),
            PurchaseOrderItem(
                item_id="1", prebook_item_id=None, product_description=None, boxes=2, cost=Decimal("0.5")
            ),
        )

    @pytest.mark.parametrize(
        "change", [{"unitCost": "cheap"}, {"bunches": 1.5}, {"boxes": 4}, {"boxes": [{"boxCode": []}]}, {"boxType": {}}]
    )
    def test_a_malformed_purchase_order_is_put_aside_alone(self, change: dict[str, Any]) -> None:
        good = {"id": 1, "number": 2, "details": [{"poItemId": 1, "totalBoxes": 2}]}
        bad = {"id": 7, "number": 8, "details": [{"poItemId": 1, "totalBoxes": 2, **change}]}
        listing = Komet({"status": 1, "purchaseOrders": [good, bad]}).purchase_orders()
        assert ([each.number for each in listing.records], listing.complete) == (["2"], False)
        assert listing.unreadable[0].key == "7"

    @pytest.mark.parametrize("status", [1, "1", True, 1.0])
    def test_success_in_all_its_forms(self, status: Any) -> None:
        assert Komet(listed(prebook(), status=status)).prebooks().complete

    def test_an_array_needs_no_status(self) -> None:
        assert Komet({"prebooks": [prebook()]}).prebooks().complete


class TestEmptiness:
    @pytest.mark.parametrize(
        ("answer", "complete"),
        [
            ({"status": 1, "message": "OK", "prebooks": []}, True),
            ({"status": 1, "message": "Orders not found.OK"}, True),
            ({"status": "0", "message": "Orders not found.OK"}, True),
            ({"status": 0, "message": "Prebooks not found", "prebooks": []}, True),
            ({"status": 0, "message": "", "prebooks": []}, True),
            ({"message": "Orders not found.OK"}, True),
            ({"status": 1, "message": "OK"}, False),
            ({"status": 1}, False),
            ({"status": 1, "prebooks": None}, False),
            ({"status": 1, "prebooks": {"id": 1}}, False),
        ],
    )
    def test_is_complete_only_where_komet_says_so(self, answer: Any, complete: bool) -> None:
        listing = Komet(answer).prebooks()
        assert listing.records == ()
        assert listing.complete is complete
        assert [json.loads(each.raw) for each in listing.unreadable] == ([] if complete else [answer])

    @pytest.mark.parametrize(
        "message",
        [
            "No prebooks for this date",
            "Prebook orders were not found.",
            "No orders found",
            "There are no purchase orders for 2026-11-24.",
            "no records",
        ],
    )
    def test_has_many_words(self, message: str) -> None:
        for answer in ({"status": 0, "message": message}, {"status": 0, "message": message, "prebooks": []}):
            listing = Komet(answer).prebooks()
            assert (listing.records, listing.unreadable, listing.complete) == ((), (), True)

    @pytest.mark.parametrize(
        "message",
        [
            "Customer not found",
            "token",
            "Invalid token",
            "Orders not found because the server is ill",
            "No data for this authentication token",
            "No results in time, try again",
        ],
    )
    def test_a_no_is_not_empty(self, message: str) -> None:
        for answer in ({"status": 0, "message": message}, {"status": 0, "message": message, "prebooks": []}):
            with pytest.raises(Refused):
                Komet(answer).prebooks()

    @pytest.mark.parametrize("message", ["", " ", None])
    def test_a_no_without_a_word_is_empty_only_with_its_list(self, message: str | None) -> None:
        with pytest.raises(Refused):
            Komet({"status": 0, "message": message}).prebooks()
        with pytest.raises(Refused):
            Komet({"status": 0, "message": message, "prebooks": None}).prebooks()

    @pytest.mark.parametrize("answer", [{}, {"message": "OK"}, [], 1, None, "OK"])
    def test_no_list_at_all(self, answer: Any) -> None:
        with pytest.raises(Unanswered):
            Komet(answer).prebooks()


def test_an_id_of_twenty_digits_is_read_as_a_number_and_as_text() -> None:
    long = 18_446_744_073_709_551_615
    for id_ in (long, str(long)):
        listing = Komet(listed({**prebook(prebookItemId=id_), "id": id_})).prebooks()
        assert listing.complete, listing.unreadable
        (found,) = listing.records
        assert (found.prebook_id, found.items[0].item_id) == (str(long), str(long))


class TestItems:
    @pytest.mark.parametrize("boxes", [4, "4", 4.0, "4.0", " 4 "])
    def test_whole_numbers(self, boxes: Any) -> None:
        assert item_of(prebook(totalBoxes=boxes)).boxes == 4

    @pytest.mark.parametrize("nothing", [None, "", "  "])
    def test_what_is_empty_is_hidden(self, nothing: Any) -> None:
        item = item_of(
            prebook(
                markCode=nothing,
                boxType=nothing,
                bunches=nothing,
                stemsBunch=nothing,
                unitType=nothing,
                cost=nothing,
                vendorShipDate=nothing,
                productDescription=nothing,
                breakdowns=nothing,
            )
        )
        assert (item.mark_code, item.box_type, item.bunches_per_box, item.stems_per_bunch) == (None,) * 4
        assert (item.unit_type, item.cost, item.ship_date, item.product_description) == (None,) * 4
        assert not item.is_mixed

    @pytest.mark.parametrize(
        "change",
        [
            {"productId": None},
            {"productId": 0},
            {"productId": "0"},
            {"productDescription": "unknown - Rose"},
            {"mapped": False},
            {"isMapped": "0"},
        ],
    )
    def test_not_mapped(self, change: dict[str, Any]) -> None:
        assert not item_of(prebook(**change)).mapped

    def test_the_markers_of_unknown_are_a_switch(self) -> None:
        profile = {"unknown_markers": ["RED"]}
        assert not item_of(prebook(productDescription="red line"), profile=profile).mapped
        assert item_of(prebook(productDescription="Unknown"), profile=profile).mapped

    def test_other_names_of_cost_and_ship_date(self) -> None:
        answer = prebook(cost=None, vendorShipDate=None, unitCost="0.285", shipDate="2026-11-25 00:00:00", leaves="x")
        item = item_of(answer)
        assert (item.cost, item.ship_date) == (Decimal("0.285"), date(2026, 11, 25))
        profile = {"prebook_item_cost_fields": ["price2"], "prebook_item_ship_date_fields": ["leaves"]}
        answer = prebook(price2="7", leaves="2026-11-23")
        item = item_of(answer, profile=profile)
        assert (item.cost, item.ship_date) == (Decimal(7), date(2026, 11, 23))

    def test_mixed(self) -> None:
        part = {"productId": 1, "productDescription": "Rose", "bunches": "5", "stemsBunch": 25, "price": None}
        item = item_of(prebook(breakdowns=[part, {"productId": "2"}]))
        assert item.is_mixed
        assert item.mapped
        assert item.components == (
            PrebookComponent(product_description="Rose", product_id="1", mapped=True, bunches=5, stems_per_bunch=25),
            PrebookComponent(product_description=None, product_id="2", mapped=True, bunches=None, stems_per_bunch=None),
        )

    @pytest.mark.parametrize(
        "part",
        [
            {},
            {"productId": 0},
            {"productId": 1, "productDescription": "UNKNOWN"},
            {"productId": 1, "mapped": 0},
            {"productId": 1, "productMapped": "false"},
        ],
    )
    def test_an_unknown_product_of_a_mixed_box(self, part: dict[str, Any]) -> None:
        item = item_of(prebook(breakdowns=[{"productId": 1}, part]))
        assert sorted(each.mapped for each in item.components) == [False, True]
        assert not item.mapped
        known = item_of(prebook(productId=None, breakdowns=[{"productId": 1}]))
        assert (known.mapped, known.components[0].mapped) == (False, True)

    @pytest.mark.parametrize("word", ["bunch", "BUNCH", "Bunch"])
    def test_unit_types(self, word: str) -> None:
        assert item_of(prebook(unitType=word)).unit_type is UnitType.BUNCH
        assert item_of(prebook(unitType="Box")).unit_type is None

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"totalBoxes": 4.5}, "details.0.totalBoxes = '4.5': is not a whole number"),
            ({"totalBoxes": "four"}, "details.0.totalBoxes = 'four': is not a number"),
            ({"totalBoxes": -1}, "details.0.totalBoxes = '-1': "),
            ({"totalBoxes": True}, "details.0.totalBoxes = 'True': is not a number"),
            ({"totalBoxes": 10**12}, "details.0.totalBoxes = '1000000000000': "),
            ({"totalBoxes": None}, "details.0.totalBoxes is missing"),
            ({"prebookItemId": []}, "details.0.prebookItemId = '[]': is not text"),
            ({"prebookItemId": -1}, "details.0.prebookItemId = '-1': is no id"),
            ({"cost": "cheap"}, "cost = 'cheap': is not a number"),
            ({"vendorShipDate": "24-11-2026"}, "vendorShipDate = '24-11-2026': is not a date"),
            ({"vendorShipDate": "2026-02-30"}, "vendorShipDate = '2026-02-30': "),
            ({"breakdowns": "x"}, "details.0.breakdowns = 'x': "),
            ({"breakdowns": [3]}, "details.0.breakdowns.0 = '3': "),
            ({"breakdowns": [{"bunches": 2.5}]}, "details.0.breakdowns.0.bunches = '2.5': is not a whole number"),
        ],
    )
    def test_a_malformed_one_is_put_aside_alone(self, change: dict[str, Any], named: str) -> None:
        listing = Komet(listed(prebook(), {**prebook(**change), "id": 7}, prebook())).prebooks()
        assert len(listing.records) == 2
        assert not listing.complete
        (aside,) = listing.unreadable
        assert aside.key == "7"
        assert aside.reason.startswith(named)
        assert json.loads(aside.raw)["number"] == 4343

    @pytest.mark.parametrize("entry", [None, 1, "x", [], {"id": {}}])
    def test_no_prebook_at_all(self, entry: Any) -> None:
        listing = Komet(listed(entry, prebook())).prebooks()
        assert (len(listing.records), len(listing.unreadable), listing.unreadable[0].key) == (1, 1, None)


class TestWrites:
    BODY = {"customerCode": "C100", "prebookItems": [{"cost": "0.10"}]}  # noqa: RUF012

    def test_prebook(self) -> None:
        komet = Komet({"status": "1", "prebookId": 2543545, "prebookNumber": 4343, "purchaseOrderNumbers": ""})
        steps: list[str] = []
        created = komet.client.create_prebook(self.BODY, lambda: steps.append(f"sent {len(komet.asked)}"))
        assert created == PrebookCreated("2543545", "4343")
        assert steps == ["sent 0"]
        assert komet.asked[0].content == (
            b'{"authenticationToken":"s3cret","customerCode":"C100","prebookItems":[{"cost":0.10}]}'
        )
        assert "authenticationToken" not in str(komet.asked[0].url)
        assert "authenticationToken" not in self.BODY

    @pytest.mark.parametrize(
        ("answer", "found"),
        [
            ({"purchaseOrderId": 1, "purchaseOrderNumber": "2K"}, ("1", "2K")),
            ({"id": "1", "number": 2}, ("1", "2")),
            ({"purchaseOrderNumbers": "70012"}, (None, "70012")),
            ({"purchaseOrderNumbers": ["70012"]}, (None, "70012")),
            ({"purchaseOrderNumbers": "70012, 70013"}, (None, None)),
            ({"purchaseOrderNumbers": [1, 2]}, (None, None)),
            ({"purchaseOrderId": {}, "number": True}, (None, None)),
            ({"purchaseOrderId": -(2**63), "number": "a\u202eb"}, (None, None)),
            ({"purchaseOrderId": "0001-01-01", "number": "PO-7"}, (None, "PO-7")),
            ({}, (None, None)),
        ],
    )
    def test_purchase_order(self, answer: dict[str, Any], found: tuple[str | None, str | None]) -> None:
        komet = Komet({"status": 1, **answer})
        assert komet.client.create_purchase_order({"shipDate": "2026-11-24"}) == PurchaseOrderCreated(*found)

    def test_mixed_purchase_order(self) -> None:
        komet = Komet({"status": 1, "purchaseOrderId": 1, "purchaseOrderNumber": "2K"})
        body = {"purchaseOrderItems": [{"cost": "0.10", "breakdowns": [{"cost": "7.50", "price": "8"}]}]}
        steps: list[int] = []
        made = komet.client.create_mixed_purchase_order(body, lambda: steps.append(len(komet.asked)))
        assert made == PurchaseOrderCreated("1", "2K")
        assert steps == [0]
        assert komet.asked[0].content == (
            b'{"authenticationToken":"s3cret","purchaseOrderItems":'
            b'[{"cost":0.10,"breakdowns":[{"cost":7.50,"price":8}]}]}'
        )

    @pytest.mark.parametrize(
        "answer", [{}, {"prebookId": 1}, {"status": None}, {"status": "maybe"}, {"status": 2}, [], "OK", None]
    )
    def test_an_answer_that_does_not_say_is_none(self, answer: Any) -> None:
        with pytest.raises(Unanswered):
            Komet(answer).client.create_prebook(self.BODY)

    @pytest.mark.parametrize("http_status", [200, 400, 404, 422])
    def test_refusals_carry_komets_words(self, http_status: int) -> None:
        answer = {"status": "0", "message": "Unknown customer C100 for token s3cret " + "x" * 600}
        with pytest.raises(Refused) as caught:
            Komet(answer, http_status).client.create_prebook(self.BODY)
        assert caught.value.detail.startswith("Unknown customer C100 for token … xxx")
        assert len(caught.value.detail) == 500
        assert caught.value.kind is RefusalKind.TOKEN

    @pytest.mark.parametrize("message", [None, "", 7, {}])
    def test_a_no_without_a_reason(self, message: Any) -> None:
        with pytest.raises(Refused, match="no reason given") as caught:
            Komet({"status": 0, "message": message}).client.create_prebook(self.BODY)
        assert caught.value.kind is RefusalKind.OTHER

    def test_over_a_real_socket(self) -> None:
        with serving(answering('{"status":1,"prebookId":7}')) as server:
            client = KometClient(settings(base_url=server.url), TOKEN, timeout=2.0, gate=OpenGate())
            assert client.create_prebook(self.BODY).prebook_id == "7"
            client.close()


PREBOOK_ITEM = prebook_item_delete_body("85063", "9999999")
ORDER_ITEM = purchase_order_item_delete_body("265119")


@dataclass(frozen=True)
class Delete:
    operation: str
    body: dict[str, Any]
    call: Callable[[KometClient, Callable[[], None] | None], None]


DELETES = [
    Delete("prebook.item.delete", PREBOOK_ITEM, lambda client, sent: client.delete_prebook_item(PREBOOK_ITEM, sent)),
    Delete(
        "purchase.order.item.delete",
        ORDER_ITEM,
        lambda client, sent: client.delete_purchase_order_item(ORDER_ITEM, sent),
    ),
]
SECRET = "s3cret-t0ken/with+signs"


@pytest.mark.parametrize("delete", DELETES, ids=lambda delete: delete.operation)
class TestDeletes:
    def test_in_json(self, delete: Delete) -> None:
        komet = Komet({"status": "1", "message": "success"})
        steps: list[int] = []
        delete.call(komet.client, lambda: steps.append(len(komet.asked)))
        assert steps == [0]
        assert json.loads(komet.asked[0].content) == {"authenticationToken": TOKEN, **delete.body}
        assert str(komet.asked[0].url) == f"http://127.0.0.1/api/{delete.operation}"

    def test_in_the_query(self, delete: Delete) -> None:
        mine = {"profile": {"delete_style": "query"}}
        with serving(answering('{"status":1}')) as server:
            client = KometClient(settings(base_url=server.url, **mine), SECRET, timeout=2.0, gate=OpenGate())
            delete.call(client, None)
            delete.call(client, None)
            client.close()
        head, _, content = server.requests[0].partition(b"\r\n\r\n")
        ids = "&".join(f"{name}={value}" for name, value in delete.body.items())
        assert head.startswith(
            f"POST /{delete.operation}?authenticationToken=s3cret-t0ken%2Fwith%2Bsigns&{ids} HTTP/1.1".encode()
        )
        assert content == b""
        assert b"content-length: 0\r\n" in head.lower() + b"\r\n"
        assert b"content-type" not in head.lower()
        assert server.connections == 1

    @pytest.mark.parametrize("style", ["json", "query"])
    def test_a_no(self, delete: Delete, style: str) -> None:
        komet = Komet({"status": 0, "message": "not allowed"}, profile={"delete_style": style})
        with pytest.raises(Refused, match="not allowed"):
            delete.call(komet.client, None)
        with pytest.raises(Unanswered):
            delete.call(Komet({}, profile={"delete_style": style}).client, None)

    @pytest.mark.parametrize(
        "behave",
        [
            answering("<html>", "502 Bad"),
            answering("<html>"),
            answering("{}", "302 Found", Location="http://127.0.0.1/x"),
            answering('{"message":"s3cret-t0ken/with+signs, s3cret-t0ken%2Fwith%2Bsigns"}', "401 No"),
            answering('{"status":0,"message":"token s3cret-t0ken/with+signs"}'),
            answering('{"status":0,"message":"POST ?authenticationToken=s3cret-t0ken%2Fwith%2Bsigns"}', "400 Bad"),
            closing,
            resetting,
            cutting(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
            cutting(b"nonsense\r\n\r\n"),
            silent,
        ],
    )
    def test_no_error_and_no_log_shows_the_token(
        self,
        delete: Delete,
        behave: Behaviour,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        mine = {"profile": {"delete_style": "query"}}
        with serving(behave) as server, caplog.at_level(logging.DEBUG):
            client = KometClient(settings(base_url=server.url, **mine), SECRET, timeout=0.5, gate=OpenGate())
            with pytest.raises(ClientError) as caught:
                delete.call(client, None)
            client.close()
        for text in (shown(caught.value), caplog.text):
            assert "s3cret" not in text


class TestAwb:
    RESULTS = "purchaseOrderItemDetailsAWBAddAPIResultList"

    def add(self, answer: Any) -> tuple[AwbResult, ...]:
        return Komet(answer).client.add_awb({"poItems": []})

    def test_results(self) -> None:
        entries = [
            {
                "poItemId": 7828,
                "status": "1",
                "message": "OK",
                "boxCodes": ["73992893", 73992894],
                "lotNumber": 234232,
                "newPOItemId": 7900,
            },
            {"poItemId": "7829", "status": 0, "message": f"Duplicate box code, {TOKEN}", "newPOItemId": 0},
            {"poItemId": 7828, "status": True},
        ]
        assert self.add({"status": "1", self.RESULTS: entries}) == (
            AwbResult("7828", True, "OK", "7900"),
            AwbResult("7829", False, "Duplicate box code, …", None),
            AwbResult("7828", True, "", None),
        )

    @pytest.mark.parametrize(
        "entry",
        [
            None,
            7,
            [],
            {},
            {"status": 1},
            {"poItemId": 1},
            {"poItemId": 1, "status": "maybe"},
            {"poItemId": {}, "status": 1},
            {"poItemId": 1, "status": 1, "message": {}},
            {"poItemId": 1, "status": 1, "newPOItemId": []},
        ],
    )
    def test_an_entry_that_cannot_be_read_is_left_out_alone(self, entry: Any) -> None:
        good = {"poItemId": 2, "status": 1}
        assert [each.item_id for each in self.add({"status": 1, self.RESULTS: [entry, good]})] == ["2"]

    @pytest.mark.parametrize("results", [{}, {RESULTS: None}, {RESULTS: {}}, {RESULTS: "x"}, {RESULTS: []}])
    def test_no_results(self, results: dict[str, Any]) -> None:
        assert self.add({"status": 1, **results}) == ()

    def test_a_no_to_some_is_none_to_the_others(self) -> None:
        entries = [{"poItemId": 1, "status": 1}, {"poItemId": 2, "status": 0, "message": "Product is UNKNOWN"}]
        assert self.add({"status": "0", self.RESULTS: entries}) == (
            AwbResult("1", True, "", None),
            AwbResult("2", False, "Product is UNKNOWN", None),
        )

    @pytest.mark.parametrize("results", [{}, {RESULTS: None}, {RESULTS: []}, {RESULTS: [{"poItemId": 1}]}])
    def test_a_no_as_a_whole(self, results: dict[str, Any]) -> None:
        with pytest.raises(Refused, match="No such air waybill"):
            self.add({"status": 0, "message": "No such air waybill", **results})
        with pytest.raises(Unanswered):
            self.add({self.RESULTS: [{"poItemId": 2, "status": 1}]})


class TestBoxCodes:
    def change(self, answer: Any) -> tuple[BoxCodeResult, ...]:
        return Komet(answer).client.change_box_codes({"boxes": []})

    def test_as_the_page_shows_them(self) -> None:
        answer = {
            "status": "1",
            "message": "2 boxes were successfully updated. 1 boxes could not be updated",
            "boxes": [
                {"newBoxCode": "PT991001", "status": "1", "message": "success"},
                {"newBoxCode": "PT991003", "status": "0", "message": "Box code does not exist"},
                {"newBoxCode": 7, "status": 1, "message": TOKEN},
                {"newBoxCode": "", "status": 1},
                {"newBoxCode": "x"},
                None,
            ],
        }
        assert self.change(answer) == (
            BoxCodeResult("PT991001", True, "success"),
            BoxCodeResult("PT991003", False, "Box code does not exist"),
            BoxCodeResult("7", True, "…"),
        )

    @pytest.mark.parametrize("boxes", [None, {}, 3, []])
    def test_no_results(self, boxes: Any) -> None:
        assert self.change({"status": 1, "boxes": boxes}) == ()

    def test_a_no_to_some_is_none_to_the_others(self) -> None:
        entries = [{"newBoxCode": "1", "status": 1}, {"newBoxCode": "2", "status": 0, "message": "taken"}]
        results = (BoxCodeResult("1", True, ""), BoxCodeResult("2", False, "taken"))
        assert self.change({"status": "0", "message": "no", "boxes": entries}) == results

    def test_a_no_as_a_whole(self) -> None:
        with pytest.raises(Refused):
            self.change({"status": "0", "message": "no", "boxes": []})


def test_every_method_is_its_own_path() -> None:
    calls: dict[str, Callable[[KometClient], object]] = {
        "boxtype.list": lambda client: client.list_box_types(),
        "carrier.list": lambda client: client.list_carriers(),
        "prebook.details.list": lambda client: client.list_prebooks(truck_date=date(2026, 1, 1)),
        "purchase.order.list": lambda client: client.list_purchase_orders(ship_date=date(2026, 1, 1)),
        "prebook.create": lambda client: client.create_prebook({}),
        "purchase.order.create": lambda client: client.create_purchase_order({}),
        "purchase.order.mixed.create": lambda client: client.create_mixed_purchase_order({}),
        "prebook.item.delete": lambda client: client.delete_prebook_item({}),
        "purchase.order.item.delete": lambda client: client.delete_purchase_order_item({}),
        "purchase.order.items.awb.add": lambda client: client.add_awb({}),
        "box.code.change": lambda client: client.change_box_codes({}),
    }
    for operation, call in calls.items():
        komet = Komet({"status": 1, "message": "Orders not found.OK"})
        call(komet.client)
        assert komet.asked[0].url.path == f"/api/{operation}"
        assert komet.asked[0].method == ("GET" if operation.endswith("list") else "POST")
