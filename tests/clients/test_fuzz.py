"""Whatever the other side answers, a client gives a record or one of the three errors, and nothing else."""

import contextlib
import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from clients.errors import ClientError
from tests.clients.test_axerrio_client import (
    INBOUND,
    Axerrio,
    article_record,
    bare,
    label_record,
    line_record,
    order_record,
    paged,
    shipment_record,
)
from tests.clients.test_komet_client import Komet, listed, prebook
from tests.mutations import broken, places, replaced

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", " ", "0", "-1", "1e400", "4.5", "NaN", "2026-02-30", "9999-12-31", "\x00", "\ud800", 2**80]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)

PURCHASE_ORDERS = {
    "status": "1",
    "message": "OK",
    "purchaseOrders": [
        {
            "id": 1,
            "number": 2,
            "shipDate": "2026-11-24",
            "status": "A",
            "details": [
                {
                    "poItemId": 3,
                    "prebookItemId": 4,
                    "productId": 5,
                    "totalBoxes": 5,
                    "boxType": "HB",
                    "bunches": 1,
                    "stemsBunch": 25,
                    "unitCost": 0.28,
                    "markCode": "D",
                    "boxes": [{"boxCode": "B"}],
                }
            ],
        }
    ],
}
CREATED = {"status": "1", "message": "ok", "prebookId": 1, "prebookNumber": 2, "items": [{"prebookItemId": 3}]}
PART = {"productId": 1, "productDescription": "Rose", "bunches": 5, "stemsBunch": 25, "mapped": 1}
PREBOOKS = listed({**prebook(breakdowns=[PART]), "customerName": "M", "customerPONumber": "P", "carrierId": 1})
AWB_ADDED = {
    "status": "1",
    "purchaseOrderItemDetailsAWBAddAPIResultList": [
        {"poItemId": 1, "status": "1", "message": "OK", "boxCodes": ["B"], "newPOItemId": 2}
    ],
}
CODES_CHANGED = {"status": 1, "message": "ok", "boxes": [{"newBoxCode": "B", "status": "0", "message": "no"}]}
REFERENCES = {
    "prebookId": "1",
    "purchaseOrders": [{"id": "1", "number": "2"}],
    "lines": [{"lineKey": "1", "prebookId": "1"}],
}
STATUS = {"status": "approved", "purchaseOrders": [{"number": "1", "status": "pending"}]}
ORDERS = paged(
    order_record(externalReferences=[{"system": "komet", **REFERENCES}]), {"key": "a", "sequence": 1, "isDeleted": True}
)
BORN_IN_KOMET = paged(
    bare(
        order_record(
            origin="komet",
            externalId="k",
            lines=[line_record(externalLineId="1", breakdown=[{"article": {"description": "x"}}])],
        ),
        "departureDate",
    )
)

Call = Callable[[bytes, int], object]
calls: list[tuple[Any, Call]] = [
    (PREBOOKS, lambda content, status: Komet(content, status).prebooks()),
    (PURCHASE_ORDERS, lambda content, status: Komet(content, status).purchase_orders()),
    ({"status": 1, "boxtypes": [{"id": 1, "code": "H", "fbe": 1}]}, lambda c, s: Komet(c, s).client.list_box_types()),
    ({"status": 1, "carriers": [{"id": 1, "active": 1}]}, lambda c, s: Komet(c, s).client.list_carriers()),
    (CREATED, lambda content, status: Komet(content, status).client.create_prebook({})),
    (CREATED, lambda content, status: Komet(content, status).client.create_purchase_order({})),
    (CREATED, lambda content, status: Komet(content, status).client.create_mixed_purchase_order({})),
    (CREATED, lambda content, status: Komet(content, status).client.delete_prebook_item({})),
    (AWB_ADDED, lambda content, status: Komet(content, status).client.add_awb({})),
    (CODES_CHANGED, lambda content, status: Komet(content, status).client.change_box_codes({})),
    (ORDERS, lambda content, status: Axerrio(content, status).page()),
    (BORN_IN_KOMET, lambda content, status: Axerrio(content, status).page()),
    (paged(label_record()), lambda content, status: Axerrio(content, status).client.labels_after(0, 200)),
    (paged(shipment_record()), lambda content, status: Axerrio(content, status).client.shipments_after(0, 200)),
    (paged(article_record()), lambda content, status: Axerrio(content, status).client.articles_after(0, 200)),
    (order_record(), lambda content, status: Axerrio(content, status).client.order("k")),
    (INBOUND, lambda content, status: Axerrio(content, status).client.inbound_order("k")),
    (INBOUND, lambda c, s: Axerrio(c, s).client.put_inbound_order("k", {}, idempotency_key="i")),
    (INBOUND, lambda c, s: Axerrio(c, s).client.delete_inbound_order("k", idempotency_key="i")),
    (REFERENCES, lambda c, s: Axerrio(c, s).client.put_references("k", {}, idempotency_key="i")),
    (STATUS, lambda c, s: Axerrio(c, s).client.put_procurement_status("k", {}, idempotency_key="i")),
    ({"tenantId": "t", "clock": "2026-11-24T00:00:00Z"}, lambda c, s: Axerrio(c, s).client.identity()),
]


@given(data=st.data(), chosen=st.sampled_from(calls), status=st.sampled_from([200, 200, 200, 201, 400, 404, 406, 429]))
def test_wrong_values(data: st.DataObject, chosen: tuple[Any, Call], status: int) -> None:
    answer, call = chosen
    for _ in range(data.draw(st.integers(1, 2))):
        answer = replaced(answer, data.draw(st.sampled_from(places(answer))), data.draw(values))
    with contextlib.suppress(ClientError):
        call(json.dumps(answer).encode(), status)


@given(data=st.data(), chosen=st.sampled_from(calls), status=st.sampled_from([200, 204, 400, 406, 500]))
def test_broken_bytes(data: st.DataObject, chosen: tuple[Any, Call], status: int) -> None:
    content = json.dumps(chosen[0]).encode()
    cut = data.draw(st.integers(0, len(content)))
    content = content[:cut] + data.draw(st.binary(max_size=4)) + content[cut + data.draw(st.integers(0, 9)) :]
    with contextlib.suppress(ClientError):
        chosen[1](content, status)


@given(random=st.randoms(use_true_random=False), chosen=st.sampled_from(calls), often=st.integers(1, 3))
def test_broken_forms(random: Random, chosen: tuple[Any, Call], often: int) -> None:
    """What comes through fits the ledger: a record that a table refuses would stop its whole feed."""
    content = json.dumps(chosen[0]).encode()
    for _ in range(often):
        with contextlib.suppress(ValueError):
            content = broken(content, random)
    with contextlib.suppress(ClientError):
        assert_storable(chosen[1](content, 200))


def assert_storable(value: object, name: str = "") -> None:
    """PostgreSQL takes it: numbers in range, text without NUL or lone surrogates, names short enough for an index."""
    match value:
        case bool() | None | bytes() | timedelta():
            return
        case int():
            assert -(2**63) <= value < 2**63, name
        case Decimal():
            assert value.is_finite(), name
            assert abs(value) <= 10**12, name
        case date():
            assert 2000 <= value.year < 2100, name
        case str():
            assert "\x00" not in value, name
            value.encode()
            is_long = name in ("raw", "comments", "notes", "message", "messages", "reason", "content")
            assert is_long or len(value) <= 600 or name.endswith(("name", "reference", "text", "description")), name
        case BaseModel():
            for field, each in value:
                assert_storable(each, field)
        case tuple() | list():
            for each in value:
                assert_storable(each, name)
        case dict():
            json.dumps(value).encode()
        case _:
            for field, each in vars(value).items():
                assert_storable(each, field)
