"""A connection: its settings, its two clients, and its rows in the ledger."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from clients.axerrio.settings import AxerrioSettings
from clients.komet.settings import KometSettings
from models import tables
from models.states import CHANGED, FINAL, WINDOW, Feed
from tasks.dates import is_time_zone

if TYPE_CHECKING:  # heavy, and who only reads the settings calls nobody
    from clients.axerrio.client import AxerrioClient
    from clients.komet.client import KometClient

#: Settings that the plan reads.
_PLANNED_WITH = {
    "mode",
    "start_date",
    "change_after_approval",
    "change_guard",
    "send_temporary_awb",
    "default_buyer",
    "buyers",
    "carriers",
    "packings",
    "time_zone",
}
#: What every connection reads, whether somebody waits for it or not: feed and key.
_ALWAYS_READ = (
    (Feed.SALES_ORDERS, ""),
    (Feed.LABELS, ""),
    (Feed.SHIPMENTS, ""),
    (Feed.ARTICLES, ""),
    (Feed.KOMET_REFERENCE, ""),
    (Feed.KOMET_PREBOOKS, CHANGED),
    (Feed.KOMET_PREBOOKS, WINDOW),
)


class Customer(BaseModel):
    """A Komet customer. Komet asks for code and description together (Create a Prebook)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    code: Annotated[str, Field(min_length=1, max_length=20)]
    #: None: the buyer's name in Axerrio.
    description: str | None = None


class ConnectionSettings(BaseModel):
    """One `[[connection]]` of the connections file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    """Of the connection: a-z, 0-9 and `-`. Commands name it so. It may be changed; another company or tenant needs a
    connection of another name."""
    mode: Literal["live", "observe"] = "live"
    """`live`, or `observe`: it reads, plans and shows, and writes nothing."""
    start_date: date | None = None
    """Orders made before it, by the date in Axerrio's time zone, create nothing. It is asked when an order is first
    seen, so it must stand there before the first start."""
    change_after_approval: Literal["hold", "apply"] = "hold"
    """What procurement has approved is changed only after a person decided (`hold`), or at once (`apply`)."""
    change_guard: Annotated[int, Field(ge=0)] = 25
    """Once so many orders are cancelled or changed within ten minutes, all of them are held as `over_limit`; with few
    open orders, once three in ten of them are, and at least 10. 0: no guard."""
    send_temporary_awb: bool = False
    """Send boxes with a temporary air waybill, and do not wait for the real one."""
    time_zone: str
    """IANA name, such as `America/New_York`: what the Komet company calls today."""
    default_buyer: str | None = None
    """Axerrio's buyer of prebooks whose Komet customer is none of `buyers`. Not set: such a prebook is held."""
    komet: KometSettings
    """The Komet company: see below."""
    axerrio: AxerrioSettings
    """The Axerrio tenant: see below."""
    buyers: dict[str, Customer] = {}
    """Axerrio's buyer code = Komet's customer code, or `{ code = "C214", description = "Sunbloom Wholesale" }` where
    Komet's name is not Axerrio's."""
    carriers: dict[str, str] = {}
    """Axerrio's carrier code = Komet's; the same code where none is given."""
    packings: dict[str, str] = {}
    """Axerrio's packing code = Komet's box type; the same code where none is given."""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if not is_time_zone(value):
            raise ValueError(f"{value} is no time zone name such as America/New_York")
        return value

    @field_validator("buyers", mode="before")
    @classmethod
    def _customers(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {code: {"code": each} if isinstance(each, str) else each for code, each in value.items()}

    @property
    def company(self) -> str:
        """The Komet company, which all its connections' requests count against."""
        return f"{self.komet.base_url}|{self.komet.company_code}"

    @property
    def joins(self) -> str:
        """What it joins: the Komet company and the Axerrio tenant."""
        return f"{self.company}|{self.axerrio.base_url}|{self.axerrio.tenant or ''}"

    def digest(self) -> str:
        """Of everything that the plan reads."""
        relevant = self.model_dump_json(include=_PLANNED_WITH)
        return hashlib.sha256(relevant.encode()).hexdigest()


@dataclass(frozen=True)
class Connection:
    """A connection at work."""

    #: Of its row in `connections`.
    id: int
    settings: ConnectionSettings
    komet: "KometClient"
    axerrio: "AxerrioClient"

    @property
    def writes_allowed(self) -> bool:
        """False where it only observes."""
        return self.settings.mode == "live"


class JoinsOthersError(Exception):
    """A connection of this name joined another company or tenant until now, and holds what came from them."""


def register_all(session: Session, file: Sequence[ConnectionSettings]) -> list[int]:
    """The same for all of a file: first those that are known, since one of them may have had the name of a new one."""
    known = set(session.scalars(select(tables.Connection.joins)))
    ids = {each.name: register(session, each) for each in sorted(file, key=lambda each: each.joins not in known)}
    return [ids[each.name] for each in file]


def register(session: Session, settings: ConnectionSettings) -> int:
    """Make the connection's row and its feeds; judge anew what waits if its settings changed.

    Returns:
        The id of the row.

    Raises:
        JoinsOthersError: its name is that of a connection to others.
    """
    digest = settings.digest()
    known = row_of(session, settings)
    # Orders are locked before their connection.
    if known is not None and (known.settings_hash != digest or known.name != settings.name):
        _lock_open_orders(session, known.id)
    row = row_of(session, settings, lock=True)
    if row is None:
        values = insert(tables.Connection).values(name=settings.name, joins=settings.joins, settings_hash=digest)
        session.execute(values.on_conflict_do_nothing())
        row = row_of(session, settings, lock=True)
        if row is None:
            raise LookupError(f"connection {settings.name} could not be made")
    is_renamed = row.name != settings.name  # commands that orders name speak of it
    row.name, row.joins = settings.name, settings.joins
    if row.settings_hash != digest or is_renamed:
        row.settings_hash = digest
        session.execute(
            update(tables.Order)
            .where(tables.Order.connection_id == row.id, tables.Order.state.not_in(FINAL))
            .values(due_at=func.axkomet_now(), hinted_until=None)
        )
    for feed, key in _ALWAYS_READ:
        session.execute(
            insert(tables.Scope)
            .values(
                connection_id=row.id,
                feed=feed,
                key=key,
                cursor=0 if key == "" and feed is not Feed.KOMET_REFERENCE else None,
                due_at=func.axkomet_now(),
            )
            .on_conflict_do_nothing()
        )
    return row.id


def _lock_open_orders(session: Session, connection_id: int) -> None:
    """By ascending id, as the tables ask for."""
    rows = select(tables.Order.id).where(tables.Order.connection_id == connection_id, tables.Order.state.not_in(FINAL))
    session.execute(rows.order_by(tables.Order.id).with_for_update(key_share=True))


def row_of(session: Session, settings: ConnectionSettings, *, lock: bool = False) -> tables.Connection | None:
    """A connection's row: of what it joins, since it may be given another name; else of its name, where that moved.

    Another connection that has its name, and may be further down in the file, loses it.

    Raises:
        JoinsOthersError: its name is that of a connection to others.
    """
    rows = select(tables.Connection).where(
        or_(tables.Connection.joins == settings.joins, tables.Connection.name == settings.name)
    )
    rows = rows.order_by(tables.Connection.id).execution_options(populate_existing=True)
    found = session.scalars(rows.with_for_update(key_share=True) if lock else rows).all()
    own = next((each for each in found if each.joins == settings.joins), None)
    namesake = next((each for each in found if each is not own), None)
    if namesake is None:
        return own
    if own is None:
        if _is_moved(namesake.joins, settings.joins) or not _holds_anything(session, namesake.id):
            return namesake
        company, tenant = _who(namesake.joins)
        of_tenant = f" and tenant {tenant}" if tenant else ""
        raise JoinsOthersError(
            f"connection {settings.name} joined company {company}{of_tenant} until now, whose orders it holds: give "
            "another company or tenant a connection of another name"
        )
    if lock:
        namesake.name = f"{namesake.name}.{namesake.id}"  # no file can give this one
        session.flush()
    return own


def _who(joins: str) -> tuple[str, str]:
    """The code of the Komet company and the Axerrio tenant that a connection joins, wherever they are."""
    company, _, tenant = joins.rsplit("|", 2)
    return company.partition("|")[2], tenant


def _is_moved(before: str, after: str) -> bool:
    """The same company and tenant, by another URL; a tenant that was not named is the one that is."""
    (company, tenant), (company_now, tenant_now) = _who(before), _who(after)
    return company == company_now and (tenant == tenant_now or not (tenant and tenant_now))


def _holds_anything(session: Session, connection_id: int) -> bool:
    orders = select(tables.Order.id).where(tables.Order.connection_id == connection_id)
    cursors = select(tables.Scope.id).where(tables.Scope.connection_id == connection_id, tables.Scope.cursor > 0)
    return bool(session.scalar(select(or_(orders.exists(), cursors.exists()))))
