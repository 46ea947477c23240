"""Mappings: what an Axerrio article is in Komet, as an admin says, and which articles are waited for.

An order born in Komet waits the other way: for Komet's word for a product, until a mapping names the article. One
mapping releases every order that waits for it, at once, and no other.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from models import tables
from models.canonical import Line, Origin
from models.database import now
from models.states import FINAL
from models.tables import Article, Connection, Order, OrderLine, PrebookItem
from tasks.wake import lock_orders

#: So many candidates are named at most.
_MOST_CANDIDATES = 3
#: A word that two descriptions share counts from so many letters on: "cm" and "50" alone make nothing alike.
_LEAST_LETTERS = 3

#: Stands in a command that we print where a person's word belongs.
_BLANK = "…"
_WORDS = re.compile(r"[^\W\d_]+|\d+")


def left_blank(article: str, *product: str) -> str | None:
    """Why a mapping cannot be meant: a command was given as it was printed, with its blank; None: it can."""
    if article == _BLANK:
        return f"still has its blank: put Axerrio's code in place of {_BLANK}"
    return f"still has its blank: put Komet's code in place of {_BLANK}" if _BLANK in product else None


@dataclass(frozen=True)
class Candidate:
    """A product of the other system that may be meant."""

    #: None: it was seen without one.
    code: str | None
    description: str


@dataclass(frozen=True)
class Entry:
    """An article that is mapped, or that lines wait for."""

    connection: str
    #: None: an order born in Komet waits for the article of Komet's product, which stands in `product_description`.
    article_code: str | None
    description: str | None
    product_code: str | None
    product_description: str | None
    #: How many orders wait for it, and when the first of them leaves.
    orders: int = 0
    nearest_departure: date | None = None
    #: The best first; only where orders wait.
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a mapping that was set."""

    #: As Axerrio writes it.
    article_code: str
    #: It stood so before.
    was_set: bool
    #: The catalogue was read and does not have the article.
    is_unknown: bool
    #: Ids of the orders that were made due.
    released: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Key:
    """What lines wait for."""

    word: str
    #: It is Axerrio's article; else Komet's word for a product.
    is_article: bool


@dataclass
class _Waiting:
    """Who waits for it, in one connection."""

    orders: set[int] = field(default_factory=set)
    nearest: date | None = None
    description: str | None = None


# -- the list --------------------------------------------------------------------------------------------------


def list_mappings(session: Session, connection: str | None, *, missing: bool) -> list[Entry]:
    """Mappings and what is waited for; what most orders wait for first, then what leaves first.

    Args:
        session: of the ledger.
        connection: only of this one.
        missing: only what lines wait for.
    """
    rows = select(Connection).order_by(Connection.name)
    if connection is not None:
        rows = rows.where(Connection.name == connection)
    entries = [each for row in session.scalars(rows) for each in _entries(session, row, missing=missing)]
    return sorted(entries, key=_rank)


def mapped(session: Session, connection: str | None) -> list[Entry]:
    """What is mapped, by connection and article, without what waits for it.

    Args:
        session: of the ledger.
        connection: only of this one.
    """
    row = tables.Mapping
    query = (
        select(Connection.name, row.article_code, row.product_code, row.product_description)
        .join(Connection, row.connection_id == Connection.id)
        .order_by(Connection.name, row.article_code)
    )
    if connection is not None:
        query = query.where(Connection.name == connection)
    rows = session.execute(query)
    return [Entry(name, article, None, code, description) for name, article, code, description in rows]


def _rank(entry: Entry) -> tuple[int, date, str, str]:
    name = entry.article_code or entry.product_description or ""
    return -entry.orders, entry.nearest_departure or date.max, entry.connection, name


def _entries(session: Session, connection: Connection, *, missing: bool) -> list[Entry]:
    waiting = _waiting(session, connection.id)
    entries = []
    of_connection = select(tables.Mapping).where(tables.Mapping.connection_id == connection.id)
    for mapping in session.scalars(of_connection):
        names = {each.casefold() for each in (mapping.product_code, mapping.product_description) if each}
        mine = [
            key
            for key in waiting
            if (key.word == mapping.article_code if key.is_article else key.word.casefold() in names)
        ]
        entry = Entry(connection.name, mapping.article_code, None, mapping.product_code, mapping.product_description)
        taken = [waiting.pop(key) for key in mine]
        if taken or not missing:
            entries.append(_with(entry, taken))
    for key, each in waiting.items():
        article, product = (key.word, None) if key.is_article else (None, key.word)
        entries.append(_with(Entry(connection.name, article, None, None, product), [each]))
    return _described(session, connection.id, entries)


def _with(entry: Entry, waiting: Sequence[_Waiting]) -> Entry:
    orders = {order for each in waiting for order in each.orders}
    nearest = min((each.nearest for each in waiting if each.nearest), default=None)
    description = next((each.description for each in waiting if each.description), None)
    return replace(entry, orders=len(orders), nearest_departure=nearest, description=description)


def _waiting(session: Session, connection_id: int) -> dict[_Key, _Waiting]:
    rows = session.execute(
        select(OrderLine, Order)
        .join(Order, OrderLine.order_id == Order.id)
        .where(Order.connection_id == connection_id, OrderLine.waits_for.is_not(None), Order.state.not_in(FINAL))
        .order_by(OrderLine.id)
    )
    waiting: dict[_Key, _Waiting] = {}
    for line, order in rows:
        key = _Key(line.waits_for or "", is_article=order.origin == Origin.AXERRIO)
        each = waiting.setdefault(key, _Waiting())
        each.orders.add(order.id)
        each.nearest = min(each.nearest or order.departure_date, order.departure_date)
        each.description = each.description or _description(line, key.word)
    return waiting


def _description(line: OrderLine, article: str) -> str | None:
    """What Axerrio calls the article, by a line that has it."""
    wanted = Line.model_validate(line.wanted) if line.wanted is not None else None
    named = (wanted.article, *(part.article for part in wanted.breakdown)) if wanted is not None else ()
    return next((each.description for each in named if each.code == article and each.description), None)


def _described(session: Session, connection_id: int, entries: Sequence[Entry]) -> list[Entry]:
    """With the catalogue's descriptions, and candidates where orders wait."""
    catalogue = _catalogue(session, connection_id, {each.article_code for each in entries if each.article_code})
    waits = [each for each in entries if each.orders]
    products = _products(session, connection_id) if any(each.article_code for each in waits) else ()
    articles = _articles(session, connection_id) if any(not each.article_code for each in waits) else ()
    described = []
    for entry in entries:
        found = replace(entry, description=catalogue.get(entry.article_code or "") or entry.description)
        if entry.orders and entry.article_code:
            found = replace(found, candidates=_alike(found.description or entry.article_code, products))
        elif entry.orders:
            found = replace(found, candidates=_alike(entry.product_description or "", articles))
        described.append(found)
    return described


def _catalogue(session: Session, connection_id: int, codes: Iterable[str]) -> dict[str, str]:
    rows = session.execute(
        select(Article.code, Article.description).where(
            Article.connection_id == connection_id, Article.code.in_(set(codes)), Article.is_deleted.is_(False)
        )
    )
    return dict(rows.all())


# -- candidates ------------------------------------------------------------------------------------------------


def _products(session: Session, connection_id: int) -> list[Candidate]:
    """Komet's products, as its prebooks showed them; with the code that was sent, where that is certain."""
    seen = (
        PrebookItem.content["product_description"].as_string(),
        PrebookItem.sent["product_code"].as_string(),
        PrebookItem.is_tied,
        func.jsonb_array_length(PrebookItem.content["components"]),
    )
    rows = session.execute(
        select(*seen).distinct().where(PrebookItem.connection_id == connection_id, PrebookItem.mapped)
    )
    codes: dict[str, str | None] = {}
    for description, code, is_tied, parts in rows:
        if description:
            codes[description] = codes.get(description) or (code if not is_tied and not parts else None)
    parts_of = func.jsonb_array_elements(PrebookItem.content["components"]).table_valued("value").render_derived()
    components = (
        select(parts_of.c.value.op("->>")("product_description"))
        .select_from(PrebookItem)
        .join(parts_of, parts_of.c.value.op("->>")("mapped") == "true")
        .where(PrebookItem.connection_id == connection_id)
        .distinct()
    )
    for description in session.scalars(components):
        if description:
            codes.setdefault(description, None)
    return [Candidate(code, description) for description, code in codes.items()]


def _articles(session: Session, connection_id: int) -> list[Candidate]:
    rows = session.execute(
        select(Article.code, Article.description).where(
            Article.connection_id == connection_id, Article.is_deleted.is_(False), Article.code != ""
        )
    )
    return [Candidate(code, description) for code, description in rows]


def _alike(description: str, candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Those whose descriptions share most words with this one."""
    wanted = _words(description)
    ranked = []
    for each in candidates:
        other = _words(each.description)
        shared = wanted & other
        if any(len(word) >= _LEAST_LETTERS and word.isalpha() for word in shared):
            ranked.append((-len(shared) / len(wanted | other), each.description, each.code or "", each))
    return tuple(each for *_, each in sorted(ranked, key=lambda rank: rank[:3])[:_MOST_CANDIDATES])


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORDS.findall(text)}


# -- setting one -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """A mapping to be set."""

    #: Of the connection's row.
    connection_id: int
    #: Axerrio's.
    article_code: str
    #: Komet's; None: the article's own.
    product_code: str | None
    #: Komet's; None: the code.
    product_description: str | None


def set_mappings(sessions: sessionmaker[Session], wanted: Sequence[Wanted], who: str) -> list[Outcome]:
    """Store mappings in place of the articles' last ones, all or none, and release the orders that wait for them.

    The mappings are committed first and the orders are released after it: an order that was planned without its mapping
    is found by what it then waits for, or by its lease while that plan is still on its way.

    Args:
        sessions: of the ledger; short transactions are made, one for all mappings and one for each one's orders.
        wanted: what is to stand.
        who: sets them.

    Returns:
        What became of each.
    """
    with sessions.begin() as session:
        stored = [_store(session, each, who) for each in wanted]
    outcomes = []
    for each, outcome in zip(wanted, stored, strict=True):
        with sessions.begin() as session:
            released = _release(session, replace(each, article_code=outcome.article_code))
        outcomes.append(replace(outcome, released=released))
    return outcomes


def _store(session: Session, wanted: Wanted, who: str) -> Outcome:
    values = {"product_code": wanted.product_code, "product_description": wanted.product_description}
    article_code = _as_known(session, wanted.connection_id, wanted.article_code)
    before = session.get(tables.Mapping, (wanted.connection_id, article_code))
    was_set = before is not None and {name: getattr(before, name) for name in values} == values
    if not was_set:
        row = insert(tables.Mapping).values(
            connection_id=wanted.connection_id, article_code=article_code, set_by=who, **values
        )
        renewed = values | {"set_by": who, "set_at": func.axkomet_now()}
        session.execute(row.on_conflict_do_update(index_elements=["connection_id", "article_code"], set_=renewed))
    return Outcome(article_code, was_set, _is_unknown(session, wanted.connection_id, article_code))


def _as_known(session: Session, connection_id: int, article_code: str) -> str:
    """The article's code as Axerrio writes it, where only the case of its letters was mistaken."""
    in_catalogue = select(Article.code).where(
        Article.connection_id == connection_id,
        Article.is_deleted.is_(False),
        func.lower(Article.code) == func.lower(article_code),
    )
    folded = article_code.casefold()
    waiting = [key.word for key in _waiting(session, connection_id) if key.is_article and key.word.casefold() == folded]
    known = {*session.scalars(in_catalogue), *waiting}
    return known.pop() if len(known) == 1 else article_code


def _is_unknown(session: Session, connection_id: int, article_code: str) -> bool:
    of_connection = select(Article.key).where(Article.connection_id == connection_id, Article.is_deleted.is_(False))
    if session.scalar(of_connection.limit(1)) is None:
        return False
    return session.scalar(of_connection.where(Article.code == article_code).limit(1)) is None


def still_waiting(session: Session, mapping: Wanted, order_ids: Collection[int]) -> int:
    """How many of the orders that a mapping released have a line that waits for its article still."""
    return len(_those_that_wait(session, mapping).intersection(order_ids))


def _those_that_wait(session: Session, mapping: Wanted) -> set[int]:
    """Ids of the orders with a line that waits for the article or for Komet's word for it, whatever the case."""
    waits = {(Origin.KOMET, word.casefold()) for word in (mapping.product_code, mapping.product_description) if word}
    waits.add((Origin.AXERRIO, mapping.article_code.casefold()))
    waiting = (
        select(Order.id, Order.origin, OrderLine.waits_for)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(
            Order.connection_id == mapping.connection_id,
            OrderLine.waits_for.is_not(None),
            Order.state.not_in(FINAL),
        )
    )
    return {id_ for id_, origin, word in session.execute(waiting) if word and (origin, word.casefold()) in waits}


def _release(session: Session, mapping: Wanted) -> tuple[int, ...]:
    """Make due the orders that wait for it."""
    moment = now(session)
    at_work = select(Order.id).where(
        Order.connection_id == mapping.connection_id, Order.due_at.is_not(None), Order.lease_until > moment
    )
    rows = lock_orders(session, _those_that_wait(session, mapping) | set(session.scalars(at_work)))
    still = _those_that_wait(session, mapping)
    released = [row for row in rows if row.id in still]
    for row in released:
        row.due_at, row.hinted_until = moment, None
    return tuple(row.id for row in released)
