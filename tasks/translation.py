"""Komet's codes as Axerrio names them: the connection's tables and the mappings, read the other way."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, any_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from models.canonical import Article, Carrier, Line, Order
from models.tables import Mapping as MappingRow
from tasks.connection import Connection, ConnectionSettings


def translated(session: Session, connection: Connection, order: Order, carriers: Mapping[str, Carrier]) -> Order:
    """An order that was born in Komet, in Axerrio's codes, as settings and mappings are now."""
    words = cast(sorted(words_of(order)), ARRAY(Text()))
    rows = select(MappingRow).where(MappingRow.connection_id == connection.id, names_one_of(words))
    return Translation(connection.settings, carriers, session.scalars(rows)).order(order)


def words_of(order: Order) -> set[str]:
    """Komet's words for the products of an order that was born there, as `names_one_of` compares them."""
    return {
        "".join(each for each in article.description if " " <= each <= "~").lower()
        for line in order.lines
        for article in (line.article, *(part.article for part in line.breakdown))
    }


def names_one_of(words: ColumnElement[Any]) -> ColumnElement[bool]:
    """Mappings of which `Translation` chooses those of an array of `words_of`; a few others may be among them.

    PostgreSQL folds the case of other letters than ASCII's in some locales only: they are left out on both sides.
    """
    names = (MappingRow.product_description, MappingRow.product_code)
    plain = (func.lower(func.regexp_replace(each.collate("C"), "[^ -~]", "", "g")) == any_(words) for each in names)
    return and_(func.cardinality(words) > 0, or_(*plain))


class Translation:
    """Translates an order that was born in Komet.

    Args:
        settings: of the connection.
        carriers: Komet's, by code.
        mappings: those of its products.
    """

    def __init__(
        self, settings: ConnectionSettings, carriers: Mapping[str, Carrier], mappings: Iterable[MappingRow]
    ) -> None:
        self._buyers: dict[str, str] = {}
        for buyer, customer in settings.buyers.items():
            self._buyers.setdefault(customer.code.casefold(), buyer)
        self._default_buyer = settings.default_buyer
        self._packings = _inverse(settings.packings)
        self._carriers = _inverse(settings.carriers)
        self._carrier_codes = {carrier.carrier_id: code for code, carrier in carriers.items()}
        self._articles = {
            name.casefold(): each.article_code
            for each in mappings
            for name in (each.product_code, each.product_description)
            if name
        }

    def order(self, order: Order) -> Order:
        """The order in Axerrio's codes; an empty buyer code where none is known."""
        carrier = self._carrier_codes.get(order.carrier_code or "")
        return order.model_copy(
            update={
                "buyer_code": self._buyers.get(order.buyer_code.casefold()) or self._default_buyer or "",
                "carrier_code": self._carriers.get(carrier, carrier) if carrier else None,
                "lines": tuple(self.line(line) for line in order.lines),
            }
        )

    def line(self, line: Line) -> Line:
        """The line in Axerrio's codes."""
        return line.model_copy(
            update={
                "article": self._article(line.article),
                "packing_code": self._packings.get(line.packing_code, line.packing_code),
                "breakdown": tuple(
                    part.model_copy(update={"article": self._article(part.article)}) for part in line.breakdown
                ),
            }
        )

    def _article(self, article: Article) -> Article:
        code = self._articles.get(article.description.casefold(), "")
        return article.model_copy(update={"code": code})


def _inverse(mapping: Mapping[str, str]) -> dict[str, str]:
    """The first of several codes that mean the same."""
    inverse: dict[str, str] = {}
    for ours, theirs in mapping.items():
        inverse.setdefault(theirs, ours)
    return inverse
