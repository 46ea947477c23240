import json
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clients.errors import RefusalKind
from clients.komet.bodies import (
    AwbItem,
    BoxCodeChange,
    MixedPurchaseOrderLine,
    ProductName,
    PurchaseOrderLine,
    awb_body,
    awb_text,
    body_size,
    box_codes_body,
    encode_body,
    mixed_purchase_order_body,
    prebook_body,
    prebook_item_delete_body,
    purchase_order_body,
    purchase_order_item_delete_body,
    sent_line,
)
from clients.komet.mark import marker, read_mark
from clients.komet.profile import KometProfile
from models.canonical import Article, Component, Json, Order, PurchaseOrderStatus
from tests.clients.orders import BOX_TYPES, CARRIER, MARK, line, mixed_line, order, settings

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
        "products": {},
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
        token = "tok" + "x" * 47
        sent = encode_body(body, token, KometProfile()).decode()
        assert '"cost":0.1,"price":123456789.123,' in sent
        assert sent.startswith(f'{{"authenticationToken":"{token}","customerCode":"C100"')
        assert len(sent) <= body_size(body)

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


class TestMixedPurchaseOrderBody:
    ITEM = MixedPurchaseOrderLine("882", 3, mixed_line(notes="fragile"))

    def body(self, *items: MixedPurchaseOrderLine, **changes: Any) -> tuple[Json, tuple[str, ...]]:
        given: dict[str, Any] = {
            "purchase_order_number": None,
            "box_types": BOX_TYPES,
            "packings": PACKINGS,
            "settings": settings(),
            "products": {},
            **changes,
        }
        return mixed_purchase_order_body(date(2026, 11, 24), items, **given)

    def test_golden(self) -> None:
        body, warnings = self.body(self.ITEM)
        assert warnings == ()
        assert body == {
            "shipDate": "2026-11-24",
            "purchaseOrderItems": [
                {
                    "prebookItemId": 882,
                    "productCode": "MIXROSE",
                    "productDescription": "Mixed roses 50 cm",
                    "boxTypeId": 1058,
                    "unitType": "Bunch",
                    "boxes": 3,
                    "bunches": 8,
                    "stemsBunch": 25,
                    "cost": "0.28",
                    "markCode": "DOCK2",
                    "notes": "fragile",
                    "breakdowns": [
                        {
                            "productCode": "RFREE50",
                            "productDescription": "Rose Freedom 50 cm",
                            "bunches": 5,
                            "stemsBunch": 25,
                            "cost": "7",
                        },
                        {"productCode": "RMOND50", "productDescription": "RMOND50", "bunches": 3, "stemsBunch": 25},
                    ],
                }
            ],
        }

    @pytest.mark.parametrize(("link", "on_item", "on_breakdown"), [("item", 1, 0), ("breakdown", 0, 2), ("both", 1, 2)])
    def test_the_link(self, link: str, on_item: int, on_breakdown: int) -> None:
        body, _ = self.body(self.ITEM, settings=settings(profile={"mixed_link": link}))
        (item,) = body["purchaseOrderItems"]
        assert [item.get("prebookItemId")].count(882) == on_item
        assert [each.get("prebookItemId") for each in item["breakdowns"]].count(882) == on_breakdown

    def test_switches(self) -> None:
        fields = {"prebookItemId": "pbi", "boxes": "totalBoxes", "cost": "unitCost"}
        profile = {"po_item_fields": fields, "box_type_by": "code", "mixed_link": "both", "price_decimals": 1}
        mine = settings(location_code="MIA", inbound_carrier_code="ARM", profile=profile)
        names = {"RMOND50": ProductName("Rm50", "Mondial")}
        body, _ = self.body(self.ITEM, settings=mine, purchase_order_number="70012K", products=names)
        assert (body["companyLocationCode"], body["carrierCode"], body["purchaseOrderNumber"]) == (
            "MIA",
            "ARM",
            "70012K",
        )
        (item,) = body["purchaseOrderItems"]
        assert (item["pbi"], item["totalBoxes"], item["unitCost"], item["boxTypeCode"]) == (882, 3, "0.3", "QB")
        assert not {"prebookItemId", "boxes", "cost", "boxTypeId"} & set(item)
        assert item["breakdowns"][1] == {
            "pbi": 882,
            "productCode": "Rm50",
            "productDescription": "Mondial",
            "bunches": 3,
            "stemsBunch": 25,
        }
        assert b'"unitCost":0.3,' in encode_body(body, "t", mine.profile)

    def test_cuts_texts_and_says_so(self) -> None:
        long = Article(code="C" * 21, description="D" * 201)
        part = Component(article=long, bunches=8, stems_per_bunch=25)
        what = mixed_line(article=long, breakdown=(part,), mark_code="M" * 21, notes="N" * 201)
        body, warnings = self.body(MixedPurchaseOrderLine("1", 1, what))
        (item,) = body["purchaseOrderItems"]
        lengths = {"productCode": 20, "productDescription": 200}
        assert {name: len(item[name]) for name in lengths} == lengths
        assert {name: len(item["breakdowns"][0][name]) for name in lengths} == lengths
        assert (len(item["markCode"]), len(item["notes"])) == (20, 200)
        assert set(warnings) == {
            "line 2: product code cut to 20 characters",
            "line 2: product description cut to 200 characters",
            "line 2: breakdown product code cut to 20 characters",
            "line 2: breakdown product description cut to 200 characters",
            "line 2: mark code cut to 20 characters",
            "line 2: notes cut to 200 characters",
        }

    def test_a_packing_that_komet_lacks(self) -> None:
        with pytest.raises(KeyError, match="XX"):
            self.body(MixedPurchaseOrderLine("1", 1, mixed_line(packing_code="XX")))

    def test_costs_of_a_breakdown_are_numbers_of_exactly_their_digits(self) -> None:
        part = Component(
            article=Article(code="A", description=""),
            bunches=8,
            stems_per_bunch=25,
            unit_cost=Decimal("0.1"),
            unit_price=Decimal("12345678901.123"),
        )
        what = mixed_line(breakdown=(part,), unit_cost=None, unit_price=None)
        body, _ = self.body(MixedPurchaseOrderLine("1", 1, what))
        assert b'"stemsBunch":25,"cost":0.1}' in encode_body(body, "t", KometProfile())
        prebook, _ = body_of(order(what))
        assert b'"stemsBunch":25,"cost":0.1,"price":12345678901.123}' in encode_body(prebook, "t", KometProfile())


def test_deletes_name_ids_as_numbers() -> None:
    assert prebook_item_delete_body("85063", "9999999") == {"prebookId": 85063, "prebookItemId": 9999999}
    assert prebook_item_delete_body("a", "b7") == {"prebookId": "a", "prebookItemId": "b7"}
    assert purchase_order_item_delete_body("265119") == {"poItemId": 265119}


class TestAwb:
    @pytest.mark.parametrize(
        ("written", "sent"),
        [
            ("729-1234 5675", "729-1234-5675"),
            ("020-81140743", "020-8114-0743"),
            ("729-4772 0046", "729-4772-0046"),
            ("72912345675", "729-1234-5675"),
            ("  729.1234.5675\n", "729-1234-5675"),
            ("729\u20131234\u00a05675", "729-1234-5675"),
            ("729-1234-5675", "729-1234-5675"),
        ],
    )
    def test_a_sound_one_is_written_as_komet_writes_it(self, written: str, sent: str) -> None:
        assert awb_text(written) == (sent, None)

    @pytest.mark.parametrize("written", ["234-2367-0983", "0981-0621-999", " 729-1234 5674 ", "729-1234 5679"])
    def test_a_wrong_check_digit_is_never_put_right(self, written: str) -> None:
        sent, warning = awb_text(written)
        assert sent == written.strip()
        assert warning == f"air waybill {sent!r}: its check digit is wrong; it goes as it is"

    @pytest.mark.parametrize(
        "written",
        [
            "08472-4772-0048",
            "7291234567",
            "TEMP 1",
            "",
            "  CM-93242111 ",
            "AWB 729-1234 5675",
            "729/1234/5675",
            "\u0667\u0662\u0669-1234 5675",
        ],
    )
    def test_another_number_goes_as_it_is(self, written: str) -> None:
        sent, warning = awb_text(written)
        assert sent == written.strip()
        assert warning == f"air waybill {sent!r} has not 11 digits; it goes as it is"

    @given(st.text(max_size=60))
    def test_is_the_same_when_done_twice(self, written: str) -> None:
        sent, warning = awb_text(written)
        assert awb_text(sent) == (sent, warning)

    def item(self, **changes: Any) -> AwbItem:
        given: dict[str, Any] = {
            "item_id": "7828",
            "awb": "729-1234-5675",
            "house_awb": "CM-93242111",
            "ship_date": date(2026, 11, 24),
            "box_codes": ("AX0000012345", "0012"),
            "lot_number": "234232",
        }
        return AwbItem(**{**given, **changes})

    def test_golden(self) -> None:
        bare = self.item(item_id="7829", house_awb="", box_codes=(), lot_number=" ")
        body, warnings = awb_body([self.item(), bare], settings=settings())
        assert warnings == ()
        assert body == {
            "poItems": [
                {
                    "poItemId": 7828,
                    "awb": "729-1234-5675",
                    "houseAWB": "CM-93242111",
                    "shipDate": "2026-11-24",
                    "lotNumber": "234232",
                    "boxCodes": ["AX0000012345", "0012"],
                },
                {"poItemId": 7829, "awb": "729-1234-5675", "shipDate": "2026-11-24"},
            ]
        }

    @pytest.mark.parametrize(
        ("most", "parts"),
        [(None, [["1", "2", "3"]]), (1, [["1"], ["2"], ["3"]]), (2, [["1", "2"], ["3"]]), (3, [["1", "2", "3"]])],
    )
    def test_an_item_with_many_boxes_in_several_entries(self, most: int | None, parts: list[list[str]]) -> None:
        mine = settings(profile={"max_box_codes_per_item": most})
        body, _ = awb_body([self.item(box_codes=("1", "2", "3")), self.item(box_codes=())], settings=mine)
        *first, last = body["poItems"]
        assert [each["boxCodes"] for each in first] == parts
        assert all({**each, "boxCodes": None} == {**first[0], "boxCodes": None} for each in first)
        assert "boxCodes" not in last

    def test_cuts_texts_and_says_so(self) -> None:
        body, warnings = awb_body([self.item(awb="A" * 26, house_awb="H\n" * 26)], settings=settings())
        (entry,) = body["poItems"]
        assert (entry["awb"], entry["houseAWB"]) == ("A" * 25, "H " * 12 + "H")
        assert warnings == (
            "item 7828: air waybill cut to 25 characters",
            "item 7828: house air waybill cut to 25 characters",
        )
        body, warnings = awb_body([self.item(awb="A" * 25, house_awb="H" * 25)], settings=settings())
        assert warnings == ()

    @pytest.mark.parametrize("code", ["", "X" * 21])
    def test_a_box_code_is_never_cut(self, code: str) -> None:
        with pytest.raises(ValueError, match="box code"):
            awb_body([self.item(box_codes=("1", code))], settings=settings())
        with pytest.raises(ValueError, match="box code"):
            box_codes_body([BoxCodeChange("1", code)])
        with pytest.raises(ValueError, match="box code"):
            box_codes_body([BoxCodeChange(code, "1")])

    def test_a_box_code_goes_to_the_letter(self) -> None:
        mine = settings(profile={"ascii_only": True})
        body, _ = awb_body([self.item(box_codes=("x" * 20, "é 1"))], settings=mine)
        assert body["poItems"][0]["boxCodes"] == ["x" * 20, "é 1"]
        assert box_codes_body([BoxCodeChange("KS001001", "PT991001"), BoxCodeChange("2", "03")]) == {
            "boxes": [
                {"currentBoxCode": "KS001001", "newBoxCode": "PT991001"},
                {"currentBoxCode": "2", "newBoxCode": "03"},
            ]
        }


class TestSentLine:
    def test_is_equal_for_versions_that_need_no_change(self) -> None:
        one = sent_line(line(), packings={}, settings=settings())
        other = line(
            unit_cost=Decimal("0.2800"), mark_code=" DOCK2\n", unit_price=Decimal(9), notes="n", packing_code="H"
        )
        assert sent_line(other, packings={"H": "HB"}, settings=settings()) == one
        assert json.loads(json.dumps(one)) == one

    def test_keeps_the_article_beside_the_product(self) -> None:
        names = {"MIXROSE": ProductName("M", "Mixed"), "RFREE50": ProductName("F", "Freedom")}
        kept = sent_line(mixed_line(), packings=PACKINGS, settings=settings(), products=names)
        assert (kept["article"], kept["product_code"], kept["product_description"]) == ("MIXROSE", "M", "Mixed")
        assert [(each["article"], each["product_code"]) for each in kept["breakdown"]] == [
            ("RFREE50", "F"),
            ("RMOND50", "RMOND50"),
        ]

    def test_a_day_that_is_not_known(self) -> None:
        kept = sent_line(line(departure_date=None), packings={}, settings=settings())
        assert kept["departure_date"] is None
        profile = {"prebook_item_ship_date_field": "vendorShipDate"}
        body, _ = body_of(order(line(departure_date=None)), profile=profile)
        assert "vendorShipDate" not in body["prebookItems"][0]

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
            ("Limit exceeded", RefusalKind.LIMIT),
            ("You have reached your limit for today", RefusalKind.LIMIT),
            ("Access limit exceeded", RefusalKind.LIMIT),
            ("Too many calls", RefusalKind.LIMIT),
            ("Exceeds the limits of your plan", RefusalKind.LIMIT),
            ("Credit limit of the customer was exceeded", RefusalKind.OTHER),
            ("Daily credit limit exceeded for customer C100.", RefusalKind.OTHER),
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

    def test_what_is_read_into_silence(self) -> None:
        profile = KometProfile()
        assert (profile.prebook_partial, profile.mixed_link, profile.delete_style) == ("atomic", "item", "json")
        assert (profile.max_box_codes_per_item, profile.split_new_item_is) == (None, "remaining")
        assert (profile.max_range_days, profile.updated_needs_range, profile.updated_overlap_seconds) == (
            180,
            True,
            600,
        )
        assert profile.awb_while_pending == "allowed"

    @pytest.mark.parametrize(
        "bad",
        [
            {"limit_patterns": ["("]},
            {"nothing": 1},
            {"po_item_fields": {"x": "y"}},
            {"prebook_partial": "some"},
            {"mixed_link": "none"},
            {"delete_style": "form"},
            {"max_box_codes_per_item": 0},
            {"split_new_item_is": "both"},
            {"max_range_days": 0},
            {"updated_needs_range": "perhaps"},
            {"updated_overlap_seconds": -1},
            {"awb_while_pending": "never"},
        ],
    )
    def test_mistakes_are_found_at_once(self, bad: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            KometProfile.model_validate(bad)

    def test_every_pattern_is_an_expression(self) -> None:
        for name, field in KometProfile.model_fields.items():
            if name.endswith("_patterns"):
                assert all(re.compile(each) for each in field.default)
