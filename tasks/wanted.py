"""An order as it is wanted, in the codes of both systems: what settings, mappings and Komet's lists make of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from sqlalchemy import BigInteger, Text, any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from clients.komet.bodies import ProductName, sent_line
from models.canonical import (
    BoxType,
    Carrier,
    Json,
    Line,
    Order,
    codes,
)
from models.prepared import Prepared, parameter
from models.tables import (
    Mapping as MappingRow,
)
from models.tables import Order as OrderRow
from models.tables import ReferenceData
from tasks.connection import Connection, Customer


@dataclass(frozen=True)
class Catalogue:
    """Komet's carriers and box types by code, as last read."""

    carriers: dict[str, Carrier]
    box_types: dict[str, BoxType]

    @property
    def is_read(self) -> bool:
        """Both lists were read and hold something."""
        return bool(self.carriers) and bool(self.box_types)


#: A connection's reference data as one text: what says the same is read once.
REFERENCE = cast(
    func.json_agg(func.json_build_array(ReferenceData.list_name, ReferenceData.code, ReferenceData.content)), Text
)


_CONNECTION = parameter("connection_id", BigInteger())
_CATALOGUE = Prepared(select(REFERENCE).where(ReferenceData.connection_id == _CONNECTION))
_PRODUCTS = Prepared(
    select(MappingRow.article_code, MappingRow.product_code, MappingRow.product_description).where(
        MappingRow.connection_id == _CONNECTION, MappingRow.article_code == any_(parameter("articles", ARRAY(Text())))
    )
)


def catalogue(session: Session, connection_id: int) -> Catalogue:
    """The connection's reference data."""
    return catalogue_of(_CATALOGUE.run(session, connection_id=connection_id).scalar())


@lru_cache(maxsize=256)
def catalogue_of(reference: str | None) -> Catalogue:
    """The catalogue of which `REFERENCE` tells; None: nothing was read yet."""
    carriers, box_types = {}, {}
    for list_name, code, content in json.loads(reference or "[]"):
        if list_name == "carriers":
            carriers[code] = Carrier.model_validate(content)
        else:
            box_types[code] = BoxType.model_validate(content)
    return Catalogue(carriers, box_types)


def products_of(session: Session, connection_id: int, articles: Iterable[str]) -> dict[str, ProductName]:
    """Komet's names by article code, for those of the articles that an admin mapped."""
    rows = _PRODUCTS.run(session, connection_id=connection_id, articles=list(set(articles)))
    return product_names(MappingRow(**each) for each in rows.mappings())


def product_names(rows: Iterable[MappingRow]) -> dict[str, ProductName]:
    """Komet's names by article code."""
    return {
        row.article_code: ProductName(
            row.product_code or row.article_code, row.product_description or row.product_code or row.article_code
        )
        for row in rows
    }


def articles_of(lines: Iterable[Line]) -> set[str]:
    """The Axerrio codes of the products of lines, those in mixed boxes included."""
    return {
        article.code for line in lines for article in (line.article, *(part.article for part in line.breakdown))
    } - {""}


def as_sent(order: Order, line: Line, connection: Connection, products: Mapping[str, ProductName]) -> Json:
    """The material part of a line and of its order's header, to compare what was sent with what is wanted."""
    settings = connection.settings
    return {
        **sent_line(line, packings=settings.packings, settings=settings.komet, products=products),
        "truck_date": order.truck_date.isoformat(),
        "buyer": order.buyer_code,
        "carrier": order.carrier_code,
    }


def canonical(row: OrderRow) -> Order:
    """The newest version of an order, with the lines that it still has."""
    lines = [Line.model_validate(line.wanted) for line in row.lines if line.wanted is not None]
    return Order.model_validate({**row.wanted, "lines": lines})


def customer_of(connection: Connection, order: Order) -> Customer | None:
    """The Komet customer of the order's buyer; None where the connection maps none."""
    return connection.settings.buyers.get(order.buyer_code)


def carrier_code_of(connection: Connection, order: Order) -> str | None:
    """The Komet carrier of the order: mapped, or of the same code."""
    return codes(connection.settings.carriers, order.carrier_code) if order.carrier_code else None


def departure_of(order: Order) -> date:
    """The day on which the last of its open lines leaves."""
    days = [line.departure_date for line in order.open_lines if line.departure_date is not None]
    return max(days, default=order.departure_date or order.truck_date)
