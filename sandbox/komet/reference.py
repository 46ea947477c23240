"""Reference data: `boxtype.list` and `carrier.list`."""

from sandbox.komet.company import Company
from sandbox.komet.fields import Body, Flag, Text3, Text10, Text200, without_empty
from sandbox.wire import Json


class BoxTypeFilters(Body):
    """The filters ("Get a list of Box-Types")."""

    id: int | None = None
    code: Text3 = ""


def box_types(company: Company, fields: Json) -> Json:
    """List box types by code ("Get a list of Box-Types")."""
    asked = BoxTypeFilters.model_validate(fields)
    found = [
        {
            "code": box.code,
            "kometNetworkName": box.name[:5],
            "fbe": box.fbe,
            "id": box.id,
            "kometNetworkId": 900 + n,
        }
        for n, box in enumerate(company.seed.box_types)
        if asked.id in (None, box.id) and asked.code.casefold() in ("", box.code.casefold())
    ]
    if not found:
        return {"status": company.settings.empty_status, "message": "Box types not found."}
    return {"status": "1", "message": "OK", "boxtypes": sorted(found, key=lambda box: str(box["code"]))}


class CarrierFilters(Body):
    """The filters ("Get a list of Carriers")."""

    id: int | None = None
    code: Text10 = ""
    name: Text200 = ""
    active: Flag | None = None


def carriers(company: Company, fields: Json) -> Json:
    """List carriers; status and message come after the array ("Get a list of Carriers")."""
    asked = CarrierFilters.model_validate(fields)
    found = [
        without_empty({"id": carrier.id, "code": carrier.code, "name": carrier.name, "active": int(carrier.active)})
        for carrier in company.seed.carriers
        if asked.id in (None, carrier.id)
        and asked.code.casefold() in ("", carrier.code.casefold())
        and asked.name.casefold() in carrier.name.casefold()
        and asked.active in (None, int(carrier.active))
    ]
    if not found:
        return {"status": company.settings.empty_status, "message": "Carriers not found."}
    return {"carriers": found, "status": "1", "message": "OK"}


METHODS = {"boxtype.list": ("GET", box_types), "carrier.list": ("GET", carriers)}
