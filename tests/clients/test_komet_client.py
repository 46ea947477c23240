import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from clients.errors import RefusalKind, Refused, Unanswered
from clients.http import OpenGate
from clients.komet.client import KometClient, Listing, PrebookCreated, PurchaseOrderCreated
from models.canonical import BoxType, Carrier, Prebook, PrebookItem, PurchaseOrder, PurchaseOrderStatus, UnitType
from tests.clients.orders import settings
from tests.clients.sockets import answering, serving

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

    @pytest.mark.parametrize("message", ["Customer not found", "", "token"])
    def test_a_no_is_not_empty(self, message: str) -> None:
        with pytest.raises(Refused):
            Komet({"status": 0, "message": message}).prebooks()

    @pytest.mark.parametrize("answer", [{}, {"message": "OK"}, [], 1, None, "OK"])
    def test_no_list_at_all(self, answer: Any) -> None:
        with pytest.raises(Unanswered):
            Komet(answer).prebooks()


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
        assert item_of(prebook(breakdowns=[{"productId": 1}])).is_mixed

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
            ({"cost": "cheap"}, "cost = 'cheap': is not a number"),
            ({"vendorShipDate": "24-11-2026"}, "vendorShipDate = '24-11-2026': is not a date"),
            ({"vendorShipDate": "2026-02-30"}, "vendorShipDate = '2026-02-30': "),
            ({"breakdowns": "x"}, "details.0.breakdowns = 'x': "),
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
        assert created == PrebookCreated("2543545", "4343", ())
        assert steps == ["sent 0"]
        assert komet.asked[0].content == (
            b'{"authenticationToken":"s3cret","customerCode":"C100","prebookItems":[{"cost":0.10}]}'
        )
        assert "authenticationToken" not in str(komet.asked[0].url)
        assert "authenticationToken" not in self.BODY

    @pytest.mark.parametrize("array", ["prebookItems", "items", "details"])
    def test_item_ids_should_they_appear(self, array: str) -> None:
        answer = {"status": 1, array: [{"prebookItemId": 5}, {"prebookItemId": "6"}, {}, 3]}
        assert Komet(answer).client.create_prebook(self.BODY).item_ids == ("5", "6")

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
            ({}, (None, None)),
        ],
    )
    def test_purchase_order(self, answer: dict[str, Any], found: tuple[str | None, str | None]) -> None:
        komet = Komet({"status": 1, **answer})
        assert komet.client.create_purchase_order({"shipDate": "2026-11-24"}) == PurchaseOrderCreated(*found)

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


def test_every_method_is_its_own_path() -> None:
    calls: dict[str, Callable[[KometClient], object]] = {
        "boxtype.list": lambda client: client.list_box_types(),
        "carrier.list": lambda client: client.list_carriers(),
        "prebook.details.list": lambda client: client.list_prebooks(truck_date=date(2026, 1, 1)),
        "purchase.order.list": lambda client: client.list_purchase_orders(ship_date=date(2026, 1, 1)),
        "prebook.create": lambda client: client.create_prebook({}),
        "purchase.order.create": lambda client: client.create_purchase_order({}),
    }
    for operation, call in calls.items():
        komet = Komet({"status": 1, "message": "Orders not found.OK"})
        call(komet.client)
        assert komet.asked[0].url.path == f"/api/{operation}"
        assert komet.asked[0].method == ("POST" if operation.endswith("create") else "GET")
