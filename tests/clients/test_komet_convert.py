import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import ValidationError

from clients.errors import RefusalKind
from clients.http import Json
from clients.komet.convert import (
    ProductName,
    PurchaseOrderLine,
    body_size,
    encode_body,
    marker,
    prebook_body,
    purchase_order_body,
    read_mark,
    sent_line,
)
from clients.komet.profile import KometProfile
from models.canonical import Article, Order, PurchaseOrderStatus
from tests.clients.orders import BOX_TYPES, CARRIER, MARK, line, order, settings

PACKINGS = {"Q4": "QB"}


def body_of(what: Order, *, profile: dict[str, Any] | None = None, **changes: Any) -> tuple[Json, tuple[str, ...]]:
    given: dict[str, Any] = {
        "mark": MARK,
        "customer_code": "C100",
        "customer_description": "Miami Flowers Inc",
        "carrier": CARRIER,
        "box_types": BOX_TYPES,
        "packings": PACKINGS,
        "settings": settings(profile=profile or {}),
        **changes,
    }
    return prebook_body(what, what.lines, **given)


GOLDEN = {
    "customerCode": "C100",
    "customerDescription": "Miami Flowers Inc",
    "carrierId": 1878,
    "shipDate": "2026-11-26",
    "useExisting": 0,
    "autoGeneratePOsfromPrebooks": 0,
    "customerPO": "PO 77123",
    "comments": "Handle with care Axerrio 2026-48210 [AX:0123456XYZ]",
    "prebookItems": [
        {
            "productCode": "RFREE50",
            "productDescription": "Rose Freedom 50 cm",
            "boxTypeId": 1057,
            "unitType": "Stem",
            "boxes": 4,
            "bunches": 10,
            "stemsBunch": 25,
            "cost": "0.28",
            "price": "0.35",
            "markCode": "DOCK2",
        },
        {
            "productCode": "MIXROSE",
            "productDescription": "Mixed roses 50 cm",
            "boxTypeId": 1058,
            "unitType": "Bunch",
            "boxes": 2,
            "bunches": 8,
            "stemsBunch": 25,
            "cost": "0.28",
            "price": "0.35",
            "markCode": "DOCK2",
            "breakdowns": [
                {
                    "productCode": "RFREE50",
                    "productDescription": "Rose Freedom 50 cm",
                    "bunches": 5,
                    "stemsBunch": 25,
                    "cost": "7",
                    "price": "8.75",
                },
                {"productCode": "RMOND50", "productDescription": "RMOND50", "bunches": 3, "stemsBunch": 25},
            ],
        },
    ],
}


class TestPrebookBody:
    def test_golden(self) -> None:
        body, warnings = body_of(order())
        assert body == GOLDEN
        assert warnings == ()
        assert json.loads(json.dumps(body)) == body

    def test_on_the_wire_costs_are_numbers_of_exactly_their_digits(self) -> None:
        body, _ = body_of(order(line(unit_cost=Decimal("0.1"), unit_price=Decimal("123456789.123"))))
        sent = encode_body(body, "tok", KometProfile()).decode()
        assert '"cost":0.1,"price":123456789.123,' in sent
        assert sent.startswith('{"authenticationToken":"tok","customerCode":"C100"')
        assert len(sent) <= body_size(body, token_length=3)

    @pytest.mark.parametrize(
        ("cost", "sent"),
        [("0.2845", "0.284"), ("0.2855", "0.286"), ("7.000", "7"), ("1E+2", "100"), ("0.0001", "0"), ("-0.0001", "0")],
    )
    def test_rounds_half_to_even(self, cost: str, sent: str) -> None:
        body, _ = body_of(order(line(unit_cost=Decimal(cost))))
        assert body["prebookItems"][0]["cost"] == sent

    def test_leaves_out_what_is_empty(self) -> None:
        bare = line(unit_cost=None, unit_price=None, mark_code="")
        body, _ = body_of(order(bare, customer_reference=""))
        assert "customerPO" not in body
        assert not {"cost", "price", "markCode", "notes", "breakdowns"} & set(body["prebookItems"][0])

    def test_cuts_texts_and_says_so(self) -> None:
        long = line(
            mark_code="M" * 21, notes="N" * 201, article=Article(code="C" * 21, description="D" * 201), unit_cost=None
        )
        body, warnings = body_of(order(long, customer_reference="P" * 21, comments="x" * 300))
        item = body["prebookItems"][0]
        assert [len(item[name]) for name in ("markCode", "notes", "productCode", "productDescription")] == [
            20,
            200,
            20,
            200,
        ]
        assert len(body["customerPO"]) == 20
        assert len(body["comments"]) == 200
        assert body["comments"].endswith(" Axerrio 2026-48210 [AX:0123456XYZ]")
        assert set(warnings) == {
            "customer reference cut to 20 characters",
            "comments cut to 165 characters",
            "line 1: mark code cut to 20 characters",
            "line 1: notes cut to 200 characters",
            "line 1: product code cut to 20 characters",
            "line 1: product description cut to 200 characters",
        }

    def test_removes_control_characters(self) -> None:
        body, _ = body_of(order(line(notes="a\x00\r\n\tb"), comments="one\ntwo"))
        assert body["prebookItems"][0]["notes"] == "a b"
        assert body["comments"].startswith("one two Axerrio")

    def test_switches(self) -> None:
        profile = {
            "prebook_marker": "none",
            "prebook_item_ship_date_field": "vendorShipDate",
            "box_type_by": "code",
            "price_decimals": 2,
            "ascii_only": True,
        }
        what = order(line(unit_cost=Decimal("0.285"), notes="Café €"), comments="")
        body, _ = body_of(what, profile=profile)
        item = body["prebookItems"][0]
        assert "comments" not in body
        assert item["vendorShipDate"] == "2026-11-24"
        assert item["boxTypeCode"] == item["boxTypeDescription"] == "HB"
        assert "boxTypeId" not in item
        assert item["cost"] == "0.28"
        assert item["notes"] == "Cafe"

    def test_products_of_the_mapping(self) -> None:
        body, _ = body_of(order(line()), products={"RFREE50": ProductName("Rs50", "Roses 50")})
        assert body["prebookItems"][0]["productCode"] == "Rs50"
        assert body["prebookItems"][0]["productDescription"] == "Roses 50"

    def test_location(self) -> None:
        body, _ = body_of(order(), settings=settings(location_code="MIA"))
        assert body["companyLocationCode"] == "MIA"

    def test_a_packing_that_komet_lacks(self) -> None:
        with pytest.raises(KeyError, match="XX"):
            body_of(order(line(packing_code="XX")))

    @examples(max_examples=60, deadline=None)
    @given(
        comments=st.text(max_size=300),
        number=st.text(min_size=1, max_size=80),
        mark=st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=10, max_size=10),
    )
    def test_the_mark_always_fits(self, comments: str, number: str, mark: str) -> None:
        body, _ = body_of(order(comments=comments, number=number), mark=mark)
        assert len(body["comments"]) <= 200
        assert read_mark(body["comments"]) == mark


class TestMark:
    @pytest.mark.parametrize(
        "comments",
        [
            marker("1", MARK),
            f"hello {marker('1', MARK)}  \n",
            f"{marker('1', MARK).lower()} and more, said Ann",
            f"[AX:AAAAAAAAAA] {marker('1', MARK)}",
            f"x [ AX : {MARK} ]",
        ],
    )
    def test_is_found(self, comments: str) -> None:
        assert read_mark(comments) == MARK

    @pytest.mark.parametrize("comments", ["", "Axerrio 1", "[AX:0123]", "[AX:0123456XYI]", "AX:0123456XYZ"])
    def test_is_not_imagined(self, comments: str) -> None:
        assert read_mark(comments) is None


class TestPurchaseOrderBody:
    ITEMS = (PurchaseOrderLine("881", 4, Decimal("0.280")), PurchaseOrderLine("882", 2, None))

    def test_golden(self) -> None:
        body = purchase_order_body(date(2026, 11, 24), self.ITEMS, purchase_order_number=None, settings=settings())
        assert body == {
            "shipDate": "2026-11-24",
            "purchaseOrderItems": [
                {"prebookItemId": 881, "boxes": 4, "cost": "0.28"},
                {"prebookItemId": 882, "boxes": 2},
            ],
        }

    def test_switches(self) -> None:
        mine = settings(
            location_code="MIA",
            inbound_carrier_code="ARM",
            profile={"po_item_fields": {"boxes": "totalBoxes", "cost": "unitCost"}},
        )
        body = purchase_order_body(date(2026, 11, 24), self.ITEMS[:1], purchase_order_number="70012K", settings=mine)
        assert body == {
            "shipDate": "2026-11-24",
            "companyLocationCode": "MIA",
            "carrierCode": "ARM",
            "purchaseOrderNumber": "70012K",
            "purchaseOrderItems": [{"prebookItemId": 881, "totalBoxes": 4, "unitCost": "0.28"}],
        }
        assert b'"unitCost":0.28}' in encode_body(body, "t", mine.profile)


class TestSentLine:
    def test_is_equal_for_versions_that_need_no_change(self) -> None:
        one = sent_line(line(), packings={}, settings=settings())
        other = line(
            unit_cost=Decimal("0.2800"), mark_code=" DOCK2\n", unit_price=Decimal(9), notes="n", packing_code="H"
        )
        assert sent_line(other, packings={"H": "HB"}, settings=settings()) == one
        assert json.loads(json.dumps(one)) == one

    @pytest.mark.parametrize(
        "change",
        [
            {"boxes": 5},
            {"unit_cost": Decimal("0.29")},
            {"mark_code": "DOCK3"},
            {"departure_date": date(2026, 11, 25)},
            {"packing_code": "QB"},
            {"article": Article(code="X", description="Rose Freedom 50 cm")},
        ],
    )
    def test_differs_where_a_change_is_needed(self, change: dict[str, Any]) -> None:
        ways = {"packings": {}, "settings": settings()}
        assert sent_line(line(**change), **ways) != sent_line(line(), **ways)  # type: ignore[arg-type]


class TestProfile:
    @pytest.mark.parametrize(
        ("words", "kind"),
        [
            ("Invalid authenticationToken", RefusalKind.TOKEN),
            ("Token expired", RefusalKind.TOKEN),
            ("You do not have permission to use this method", RefusalKind.RIGHT),
            ("The token has no permission for prebook.create", RefusalKind.RIGHT),
            ("Daily request limit exceeded", RefusalKind.LIMIT),
            ("The daily limit of requests was exceeded", RefusalKind.LIMIT),
            ("You have reached the maximum limit of API requests", RefusalKind.LIMIT),
            ("Exceeded 1000 requests per day", RefusalKind.LIMIT),
            ("quota used up", RefusalKind.LIMIT),
            ("Credit limit of the customer was exceeded", RefusalKind.OTHER),
            ("comments exceeds the maximum length of 200", RefusalKind.INVALID),
            ("customerPO is too long", RefusalKind.INVALID),
            ("comments: at most 200 characters", RefusalKind.INVALID),
            ("Maximum of 20 characters for customerPO", RefusalKind.INVALID),
            ("Product RFREE50 not found", RefusalKind.UNKNOWN_PRODUCT),
            ("Unknown product", RefusalKind.UNKNOWN_PRODUCT),
            ("The customer does not exist.", RefusalKind.UNKNOWN_REFERENCE),
            ("Invalid carrier", RefusalKind.UNKNOWN_REFERENCE),
            ("Box type XX doesn't exist", RefusalKind.UNKNOWN_REFERENCE),
            ("Location code is not valid", RefusalKind.UNKNOWN_REFERENCE),
            ("access not allowed", RefusalKind.OTHER),
            ("", RefusalKind.OTHER),
        ],
    )
    def test_kinds_of_a_no(self, words: str, kind: RefusalKind) -> None:
        assert KometProfile().refusal_kind(words) is kind

    @pytest.mark.parametrize("words", ["Orders not found.OK", "Products not found.", "prebooks not found"])
    def test_nothing_found(self, words: str) -> None:
        assert KometProfile().means_nothing_found(words)

    @pytest.mark.parametrize("words", ["", "OK", "Customer not found", "Orders not found because the server is ill"])
    def test_something_else(self, words: str) -> None:
        assert not KometProfile().means_nothing_found(words)

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("PA", PurchaseOrderStatus.PENDING),
            ("approved", PurchaseOrderStatus.APPROVED),
            ("CF", PurchaseOrderStatus.CONFIRMED),
            ("Canceled", PurchaseOrderStatus.CANCELLED),
            ("Q", PurchaseOrderStatus.APPROVED),
            ("A", PurchaseOrderStatus.PENDING),
            ("?", None),
            ("", None),
        ],
    )
    def test_status_words(self, word: str, status: PurchaseOrderStatus | None) -> None:
        profile = KometProfile.model_validate({"po_status_map": {"Q": "approved", "a": "pending"}})
        assert profile.purchase_order_status(word) is status

    @pytest.mark.parametrize("bad", [{"limit_patterns": ["("]}, {"nothing": 1}, {"po_item_fields": {"x": "y"}}])
    def test_mistakes_are_found_at_once(self, bad: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            KometProfile.model_validate(bad)

    def test_every_pattern_is_an_expression(self) -> None:
        for name, field in KometProfile.model_fields.items():
            if name.endswith("_patterns"):
                assert all(re.compile(each) for each in field.default)
