"""Box labels: when they are printed, what they look like, and the shipments that they leave in."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.responses import Response

from sandbox.axerrio.feed import Record
from sandbox.axerrio.problems import Problem
from sandbox.axerrio.tenant import SalesOrder, Tenant
from sandbox.wire import Json

_codes = itertools.count(12_345)  # of all tenants: a code is unique


def new_code() -> str:
    """A box code that no box has."""
    return f"AX{next(_codes):010}"


def print_due(tenant: Tenant, order: SalesOrder) -> None:
    """Print what may be printed of an order: a label for each box of its open lines, if it has none yet.

    A line must be on a purchase order by the write-back; an order of Axerrio's own must be approved, too.
    """
    references, procurement = order.external_references, order.procurement_status
    if not tenant.settings.print_labels or order.deleted or order.raw or references is None:
        return
    if order.record["status"] != "confirmed":
        return
    if order.record["origin"] != "komet" and (procurement is None or procurement["status"] != "approved"):
        return
    bought = {line["lineKey"] for line in references["lines"] if line["purchaseOrderItemId"] is not None}
    for line in order.lines:
        if line["status"] == "open" and line["lineKey"] in bought:
            _print(tenant, order, line)


def _print(tenant: Tenant, order: SalesOrder, line: Json) -> None:
    printed = {label.record.get("boxIndex") for label in tenant.labels_of(order.key, line["lineKey"])}
    boxes = line.get("boxes") or 0
    for index in range(1, boxes + 1):
        if index not in printed:
            tenant.save_label(
                {
                    "labelId": f"L-{next(tenant.label_numbers)}",
                    "salesOrderKey": order.key,
                    "lineKey": line["lineKey"],
                    "boxIndex": index,
                    "boxCount": boxes,
                    "boxCode": new_code(),
                }
            )


def content(tenant: Tenant, label_id: str, accept: str) -> Response:
    """The label itself, in the first form asked for that is offered."""
    label = tenant.labels.find(label_id, "Label")
    code = str(label.record.get("boxCode"))
    for wanted in (each.partition(";")[0].strip() for each in accept.split(",")):
        match wanted:
            case "application/zpl" | "application/*" | "*/*":
                zpl = f"^XA\n^CI28\n^FO40,40^BCN,120,Y,N,N^FD{code}^FS\n^XZ\n"
                return Response(zpl, media_type="application/zpl")
            case "application/pdf":
                return Response(_pdf(code), media_type="application/pdf")
    raise Problem(406, "not-acceptable", "Labels are offered as application/zpl and application/pdf")


def _pdf(code: str) -> bytes:
    """One page of 4 by 3 inch with the code in plain text."""
    text = f"BT /F1 18 Tf 20 100 Td ({code}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 216]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(text)}>>stream\n{text}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Courier>>",
    ]
    document, places = "%PDF-1.4\n", []
    for n, each in enumerate(objects, start=1):
        places.append(len(document))
        document += f"{n} 0 obj{each}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(document)}\n%%EOF\n"
    return f"{document}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode("latin-1", "replace")


@dataclass(frozen=True)
class Departure:
    """With what goods leave."""

    awb: str | None
    house_awb: str | None
    is_temporary: bool
    ship_date: str | None


def ship(
    tenant: Tenant,
    orders: Sequence[SalesOrder],
    departure: Departure,
    boxes: Mapping[str, int] | None,
    *,
    with_label_ids: bool,
) -> Record:
    """Make one shipment of the printed labels of these orders that have not left yet.

    Raises:
        ValueError: there are none.
    """
    lines: list[Json] = []
    gone: list[str] = []
    for order in orders:
        for line in order.lines:
            labels = [
                label
                for label in tenant.labels_of(order.key, line["lineKey"])
                if label.record.get("state") == "printed" and label.key not in tenant.shipped_in
            ]
            labels = labels[: (boxes or {}).get(line["lineKey"], len(labels))]
            if not labels:
                continue
            gone += [label.key for label in labels]
            shipped: Json = {
                "salesOrderKey": order.key,
                "lineKey": line["lineKey"],
                "boxes": len(labels),
                "boxCodes": [label.record["boxCode"] for label in labels],
            }
            lines.append(shipped | ({"labelIds": [label.key for label in labels]} if with_label_ids else {}))
    if not lines:
        raise ValueError("there are no printed labels that have not left yet")
    today = datetime.now(ZoneInfo(tenant.seed.time_zone)).date().isoformat()
    shipment = tenant.shipments.change(
        {
            "key": f"SH-{next(tenant.shipment_numbers)}",
            "shipDate": departure.ship_date or orders[0].record.get("departureDate") or today,
            "awb": departure.awb,
            "houseAwb": departure.house_awb,
            "isTemporaryAwb": departure.is_temporary,
            "lines": lines,
        },
        {},
    )
    tenant.shipped_in |= dict.fromkeys(gone, shipment.key)
    return shipment
