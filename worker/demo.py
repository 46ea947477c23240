"""`axkomet demo`: a day's orders through a simulated Komet and Axerrio, with faults, judged from outside at the end.

Everything of `axkomet up` runs, with the sandbox as both systems, in a home of its own. The worker knows nothing of
the faults. The closing figures are read from the sandbox, which knows nothing of our ledger.
"""

import contextlib
import fcntl
import random
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from sqlalchemy import func, select

from models.database import now
from models.states import PROGRESS, OrderState, WriteState
from models.tables import Write
from worker.assembly import Ledger, open_ledger
from worker.desk import OrderFilter, find_orders
from worker.logs import configure_logs
from worker.problems import Problem
from worker.screens import state_text, terminal
from worker.services import LOOPBACK, free_port, port_taken, usable_home
from worker.settings import ENV_PREFIX, Settings, load_settings
from worker.supervisor import LOOK_SECONDS, Role, Supervisor, axkomet_command
from worker.up import look, migrate, roles_of

Json = dict[str, Any]

#: Orders of each wave, for each connection, and when it comes, in seconds.
_WAVES = ((0.0, 5), (5.0, 5), (10.0, 4), (15.0, 4))
#: The worker is killed at the first call under way after this, or at the latest without one.
_KILL_AFTER, _KILL_AT_LAST = 10.5, 25.0
#: All must be well for so long, so that a late double could still show.
_SETTLE_SECONDS = 3.0
#: After this the demo judges what stands.
_LIMIT_SECONDS = 110.0
_READY_SECONDS = 90.0
_PLAIN_PAUSE = 5.0
_APPROVAL_SECONDS = 6.0
_CREATES = ("prebook.create", "purchase.order.create")
#: Share of Komet's answers to creates that are lost after the work was done.
_LOST_SHARE = 0.2
#: Of the dice that decide it: with so few throws, one whose luck is about that share.
_SEED = 2
#: Prebooks of each company before the one whose connection breaks before any work.
_CUT_OFF_AFTER = 6
#: Komet's time for a create, so that calls are under way when the worker is killed.
_ANSWER_SECONDS = 0.3

_ARTICLES = {
    "RFREE50": ("Rose Freedom 50 cm", 25, "0.28"),
    "REXPL60": ("Rose Explorer 60 cm", 25, "0.34"),
    "RMOND50": ("Rose Mondial 50 cm", 25, "0.31"),
    "RVEND60": ("Rose Vendela 60 cm", 25, "0.33"),
    "RPFLO50": ("Rose Pink Floyd 50 cm", 25, "0.30"),
    "CARNRED": ("Carnation Select red", 20, "0.14"),
    "ALSTWHI": ("Alstroemeria Fancy white", 10, "0.22"),
    "GYPXLEN": ("Gypsophila Xlence 80 cm", 10, "0.19"),
    "HYDBLUE": ("Hydrangea Premium blue", 1, "0.85"),
    "LIMOYEL": ("Limonium yellow", 10, "0.16"),
}


@dataclass(frozen=True)
class _Pair:
    """One Komet company and one Axerrio tenant, joined by a connection."""

    name: str
    company_code: str
    company_zone: str
    tenant: str
    tenant_name: str
    tenant_zone: str
    currency: str
    carrier: tuple[str, str]
    #: Axerrio code: Komet code and name.
    buyers: Mapping[str, tuple[str, str]]
    first_number: int
    komet_token: str = field(default_factory=lambda: secrets.token_hex(16))
    axerrio_token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def tokens(self) -> dict[str, str]:
        """By the variables that the connections file names."""
        name = self.name.upper()
        return {f"KOMET_TOKEN_{name}": self.komet_token, f"AXERRIO_TOKEN_{name}": self.axerrio_token}


def _pairs() -> tuple[_Pair, ...]:
    return (
        _Pair(
            name="miami",
            company_code="MIA",
            company_zone="America/New_York",
            tenant="andes",
            tenant_name="Andes Roses",
            tenant_zone="America/Bogota",
            currency="USD",
            carrier=("ARM", "Armellini"),
            buyers={"MIAFLOWERS": ("C100", "Miami Flowers Inc"), "SUNBLOOM": ("C214", "Sunbloom Wholesale")},
            first_number=48210,
        ),
        _Pair(
            name="amsterdam",
            company_code="AMS",
            company_zone="Europe/Amsterdam",
            tenant="rift",
            tenant_name="Rift Valley Flowers",
            tenant_zone="Africa/Nairobi",
            currency="EUR",
            carrier=("KFT", "Kennemer Flower Transport"),
            buyers={"BLOEMHUIS": ("K10", "Bloemhuis BV"), "TULPENHOF": ("K22", "Tulpenhof Import")},
            first_number=71055,
        ),
    )


# -- the verdict -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """An order that a tenant confirmed, and the company in which it belongs."""

    company_code: str
    tenant: str
    record: Json

    @property
    def number(self) -> str:
        """As people name it."""
        return str(self.record["number"])


@dataclass(frozen=True)
class Verdict:
    """What became of the orders, as both simulated systems have it."""

    orders: int
    prebooks: int
    purchase_orders: int
    #: Whole in Komet, and each system names the other's record, line by line.
    linked: int
    #: Procurement approved, and Axerrio holds that.
    approved: int
    #: What stands more than once, or that nobody ordered: order or record, and why.
    doubled: Mapping[str, str]
    #: What did not get there whole.
    lost: Mapping[str, str]

    @property
    def holds(self) -> bool:
        """Nothing lost, nothing doubled."""
        return not self.doubled and not self.lost


def judge(dump: Json, expected_orders: Iterable[Placed]) -> Verdict:
    """Judge what stands in both systems; the ledger is not asked.

    Args:
        dump: what the sandbox's control interface says of both.
        expected_orders: all that were confirmed in Axerrio.
    """
    expected = list(expected_orders)
    doubled: dict[str, str] = {}
    lost: dict[str, str] = {}
    linked = approved = 0
    prebooks = [(company, each) for company in dump["companies"] for each in company["prebooks"] if _is_live(each)]
    claimed: set[tuple[str, int]] = set()
    for order in expected:
        named = [(where, each) for where, each in prebooks if f"Axerrio {order.number} [AX:" in each["comments"]]
        claimed |= {(where["company_code"], each["id"]) for where, each in named}
        if len(named) > 1:
            doubled[order.number] = f"{len(named)} prebooks: " + ", ".join(str(each["number"]) for _, each in named)
        here = [(where, each) for where, each in named if where["company_code"] == order.company_code]
        if not here:
            lost[order.number] = "no prebook names it" + (" in its company" if named else "")
            continue
        account = _Account(order, *here[0], _in_axerrio(dump, order))
        if surplus := account.surplus():
            doubled.setdefault(order.number, surplus)
        not_linked, not_approved = account.missing() or account.unlinked(), account.unapproved()
        linked += not not_linked
        approved += not not_approved
        if trouble := not_linked or not_approved:
            lost[order.number] = trouble
    for where, each in prebooks:
        if (where["company_code"], each["id"]) not in claimed:
            doubled[f"prebook {each['number']} {where['company_code']}"] = "it names no order"
    purchase_orders = [
        (company, each) for company in dump["companies"] for each in company["purchase_orders"] if _is_live(each)
    ]
    for where, each in purchase_orders:
        ids = {item["id"] for prebook in where["prebooks"] for item in prebook["items"]}
        if any(item["prebook_item_id"] not in ids for item in each["items"]):
            doubled[f"purchase order {each['number']} {where['company_code']}"] = "an item of it covers no prebook item"
    return Verdict(len(expected), len(prebooks), len(purchase_orders), linked, approved, doubled, lost)


class _Account:
    """One order: what was ordered, its prebook, and what Axerrio knows. Each method gives a sentence or None."""

    def __init__(self, order: Placed, company: Json, prebook: Json, in_axerrio: Json | None) -> None:
        self._lines = {line["lineKey"]: line for line in order.record["lines"]}
        self._prebook = prebook
        self._items = {str(item["id"]): item for item in prebook["items"] if item["boxes"]}
        self._in_axerrio = in_axerrio or {}
        self._bought = [
            (purchase_order, item)
            for purchase_order in company["purchase_orders"]
            for item in purchase_order["items"]
            if str(item["prebook_item_id"]) in self._items and item["boxes"]
        ]

    def surplus(self) -> str | None:
        for key, item in self._items.items():
            if (boxes := self._boxes_bought(key)) > item["boxes"]:
                return f"purchase orders hold {boxes} boxes of {item['product_code']}, ordered were {item['boxes']}"
        return None

    def missing(self) -> str | None:
        wanted = Counter((line["article"]["code"], line["boxes"]) for line in self._lines.values())
        stands = Counter((item["product_code"], item["boxes"]) for item in self._items.values())
        if wanted != stands:
            return f"prebook {self._prebook['number']} holds {_goods(stands)} instead of {_goods(wanted)}"
        for key, item in self._items.items():
            if (boxes := self._boxes_bought(key)) < item["boxes"]:
                return f"purchase orders hold {boxes} of {item['boxes']} boxes of {item['product_code']}"
        return None

    def unlinked(self) -> str | None:
        references = self._in_axerrio.get("external_references")
        if not references:
            return "Axerrio does not know where it stands in Komet"
        if references["prebookId"] != str(self._prebook["id"]):
            return f"Axerrio names prebook {references['prebookNumber']}, it stands in {self._prebook['number']}"
        named = {line["lineKey"]: line for line in references["lines"]}
        items = {line["prebookItemId"] for line in named.values()}
        if named.keys() != self._lines.keys() or items != self._items.keys():
            return "Axerrio names other lines or prebook items"
        for key, line in self._lines.items():
            item = self._items[named[key]["prebookItemId"]]
            if (item["product_code"], item["boxes"]) != (line["article"]["code"], line["boxes"]):
                return f"line {key} is linked to {item['boxes']} boxes of {item['product_code']}"
            link = (named[key]["purchaseOrderItemId"], named[key]["purchaseOrderNumber"])
            if link not in {
                (str(bought["id"]), purchase_order["number"])
                for purchase_order, bought in self._bought
                if bought["prebook_item_id"] == item["id"]
            }:
                return f"line {key} is not linked to its purchase order"
        return None

    def unapproved(self) -> str | None:
        if any(purchase_order["status"] != "A" for purchase_order, _ in self._bought) or not self._bought:
            return "procurement has not approved it"
        if (self._in_axerrio.get("procurement_status") or {}).get("status") != "approved":
            return "Axerrio does not know that it is approved"
        return None

    def _boxes_bought(self, item_key: str) -> int:
        return sum(item["boxes"] for _, item in self._bought if str(item["prebook_item_id"]) == item_key)


def _is_live(record: Json) -> bool:
    """A prebook or purchase order that holds boxes: an item at 0 counts as deleted."""
    return any(item["boxes"] for item in record["items"])


def _in_axerrio(dump: Json, order: Placed) -> Json | None:
    return next(
        (
            each
            for tenant in dump["tenants"]
            if tenant["tenant_id"] == order.tenant
            for each in tenant["orders"]
            if each["number"] == order.number
        ),
        None,
    )


def _goods(counts: Counter[tuple[str, int]]) -> str:
    return ", ".join(f"{boxes} {code}" for code, boxes in sorted(counts.elements())) or "nothing"


# -- the outside world -----------------------------------------------------------------------------------------


class _World:
    """The sandbox, through its control interface."""

    def __init__(self, komet_port: int, axerrio_port: int, pairs: Sequence[_Pair]) -> None:
        self.pairs = pairs
        self.role = Role(
            "sandbox",
            axkomet_command("sandbox", f"--komet-port={komet_port}", f"--axerrio-port={axerrio_port}"),
        )
        self.komet_url = f"http://{LOOPBACK}:{komet_port}/api"
        self.axerrio_url = f"http://{LOOPBACK}:{axerrio_port}"
        self._http = httpx.Client(base_url=f"{self.axerrio_url}/control/", timeout=10, trust_env=False)
        self._seen = 0
        self._dice = random.Random(48210)  # noqa: S311 - dice, not a secret
        self._made: Counter[str] = Counter()

    def answers(self) -> bool:
        try:
            return self._http.get("health").is_success
        except httpx.HTTPError:
            return False

    def seed(self) -> None:
        """Make companies and tenants, without orders, and order the faults."""
        products = [{"code": code, "description": words} for code, (words, *_) in _ARTICLES.items()]
        companies = [
            {
                "token": pair.komet_token,
                "company_code": pair.company_code,
                "time_zone": pair.company_zone,
                "customers": [{"code": code, "name": name} for code, name in pair.buyers.values()],
                "carriers": [{"code": pair.carrier[0], "name": pair.carrier[1]}],
                "products": products,
                "locations": [pair.company_code],
                "settings": {"auto_approve_seconds": _APPROVAL_SECONDS},
            }
            for pair in self.pairs
        ]
        tenants = [
            {
                "token": pair.axerrio_token,
                "tenant_id": pair.tenant,
                "name": pair.tenant_name,
                "time_zone": pair.tenant_zone,
                "currency": pair.currency,
            }
            for pair in self.pairs
        ]
        # The first of each kind is answered: what was acknowledged and then seen makes absence proof.
        lost = [
            {
                "system": "komet",
                "method": method,
                "kind": "lost_answer",
                "token": pair.komet_token,
                "skip": 1,
                "probability": _LOST_SHARE,
                "seed": seed,
            }
            for seed, (pair, method) in enumerate(product(self.pairs, _CREATES), start=_SEED)
        ]
        # One prebook of each company is cut off before any work: this one must be proven absent and sent again.
        cut = [
            {
                "system": "komet",
                "method": "prebook.create",
                "kind": "reset_before",
                "token": pair.komet_token,
                "skip": _CUT_OFF_AFTER,
                "times": 1,
            }
            for pair in self.pairs
        ]
        slow = [{"system": "komet", "method": each, "kind": "slow", "seconds": _ANSWER_SECONDS} for each in _CREATES]
        self._call("POST", "seed", {"companies": companies, "tenants": tenants})
        self._call("POST", "faults", {"faults": cut + lost + slow})

    def place(self, pair: _Pair, count: int) -> list[Placed]:
        """Confirm so many orders in Axerrio."""
        records = [self._order(pair) for _ in range(count)]
        self._call("POST", "orders", {"tenant_token": pair.axerrio_token, "orders": records})
        return [Placed(pair.company_code, pair.tenant, record) for record in records]

    def dump(self) -> Json:
        found: Json = self._call("GET", "dump")
        return found

    def new_requests(self) -> list[Json]:
        """What was asked of either since the last look."""
        found: list[Json] = self._call("GET", f"requests?since={self._seen}")
        self._seen = max((entry["n"] for entry in found), default=self._seen)
        return found

    def close(self) -> None:
        self._http.close()

    def _call(self, verb: str, path: str, body: Json | None = None) -> Any:
        try:
            return self._http.request(verb, path, json=body).raise_for_status().json()
        except httpx.HTTPError as error:
            raise Problem(f"The sandbox does not do its part ({error}): see log/sandbox.log.", exit_code=1) from None

    def _order(self, pair: _Pair) -> Json:
        today = datetime.now(UTC)
        number = pair.first_number + self._made[pair.name]
        self._made[pair.name] += 1
        buyer = self._dice.choice(sorted(pair.buyers))
        departure = today.date() + timedelta(days=self._dice.choice((2, 3, 3)))
        codes = self._dice.sample(sorted(_ARTICLES), self._dice.choice((1, 2, 2, 3, 4)))
        return {
            "key": f"SO-{number}",
            "number": f"{today.year}-{number}",
            "status": "confirmed",
            "buyer": {"code": buyer, "name": pair.buyers[buyer][1]},
            "carrierCode": pair.carrier[0],
            "locationCode": pair.company_code,
            "customerReference": f"PO {self._dice.randint(70_000, 79_999)}",
            "currency": pair.currency,
            "orderDate": today.date().isoformat(),
            "departureDate": departure.isoformat(),
            "truckDate": (departure + timedelta(days=2)).isoformat(),
            "createdAt": today.isoformat(timespec="seconds"),
            "lines": [self._line(key, code) for key, code in enumerate(codes, start=1)],
        }

    def _line(self, key: int, code: str) -> Json:
        description, stems, cost = _ARTICLES[code]
        return {
            "lineKey": str(key),
            "status": "open",
            "article": {"key": f"A-{code}", "code": code, "description": description},
            "packing": {"code": self._dice.choice(("HB", "QB"))},
            "boxes": self._dice.randint(1, 12),
            "bunchesPerBox": self._dice.choice((8, 10, 12)),
            "stemsPerBunch": stems,
            "unitType": "stem",
            "unitPrice": f"{float(cost) * 1.3:.2f}",
            "unitCost": cost,
            "markCode": self._dice.choice(("", "DOCK2", "PROMO")),
            "breakdown": [],
        }


def _connections_file(world: _World) -> str:
    return "\n".join(
        f"""[[connection]]
name = "{pair.name}"
time_zone = "{pair.company_zone}"
[connection.komet]
base_url = "{world.komet_url}"
token_env = "KOMET_TOKEN_{pair.name.upper()}"
company_code = "{pair.company_code}"
daily_requests = 1000000
requests_per_second = 10
[connection.axerrio]
base_url = "{world.axerrio_url}"
token_env = "AXERRIO_TOKEN_{pair.name.upper()}"
tenant = "{pair.tenant}"
[connection.buyers]
"""
        + "".join(f'{code} = "{customer}"\n' for code, (customer, _) in pair.buyers.items())
        for pair in world.pairs
    )


# -- the day ---------------------------------------------------------------------------------------------------


class _Day:
    """What happens outside while the worker works: orders, faults, a kill. Keeps what the screen shows."""

    def __init__(self, world: _World, ledger: Ledger, supervisor: Supervisor) -> None:
        self._world = world
        self._ledger = ledger
        self._supervisor = supervisor
        self._began = time.monotonic()
        self._waves = list(_WAVES)
        self._worker = supervisor.child("worker").pid
        self._good_since: float | None = None
        self._next_judgement = 0.0
        self.placed: list[Placed] = []
        self.orders: list[Json] = []
        self.events: list[tuple[float, str]] = []
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.kills = 0
        self.over = False

    @property
    def seconds(self) -> float:
        """Since the first order came."""
        return time.monotonic() - self._began

    @property
    def total(self) -> int:
        """Orders of the whole day."""
        return sum(count for _, count in _WAVES) * len(self._world.pairs)

    def came(self, outcome: str) -> int:
        """How many of Komet's requests came out so."""
        return sum(count for (_, each), count in self.outcomes.items() if each == outcome)

    @property
    def creates(self) -> int:
        """Creates that were asked of Komet."""
        return sum(count for (method, _), count in self.outcomes.items() if method in _CREATES)

    def step(self) -> None:
        """Let happen what is due, and look at all of it."""
        self._place()
        self._kill()
        self._listen()
        with self._ledger.sessions() as session:
            self.orders = find_orders(session, OrderFilter())
        self._conclude()

    def _place(self) -> None:
        while self._waves and self.seconds >= self._waves[0][0]:
            _, count = self._waves.pop(0)
            for pair in self._world.pairs:
                self.placed += self._world.place(pair, count)
            names = " and ".join(pair.name for pair in self._world.pairs)
            self._tell(f"{count * len(self._world.pairs)} orders confirmed in Axerrio, {names}")

    def _kill(self) -> None:
        worker = self._supervisor.child("worker")
        if worker.pid != self._worker:
            self._worker = worker.pid
            self._tell(f"worker started again, process {worker.pid}")
        if self.kills or self.seconds < _KILL_AFTER:
            return
        with self._ledger.sessions() as session:
            recently = now(session) - timedelta(seconds=_ANSWER_SECONDS)
            under_way = session.scalar(
                select(func.count()).where(Write.state == WriteState.SENT, Write.sent_at > recently)
            )
        if under_way or self.seconds >= _KILL_AT_LAST:
            worker.kill()
            self.kills += 1
            self._tell(f"worker killed with kill -9, {under_way} call(s) under way")

    def _listen(self) -> None:
        names = {pair.komet_token[-4:]: pair.name for pair in self._world.pairs}
        for entry in self._world.new_requests():
            if entry["system"] == "komet":
                self.outcomes[entry["method"], entry["outcome"]] += 1
                method, name = entry["method"], names[entry["token_last4"]]
                if entry["outcome"] == "lost_answer":
                    self._tell(f"Komet did {method} for {name}, its answer was lost")
                elif entry["outcome"] == "reset_before":
                    self._tell(f"the connection broke before Komet did {method} for {name}")

    def _conclude(self) -> None:
        if self.seconds < self._next_judgement:
            return
        self._next_judgement = self.seconds + 1
        all_well = not self._waves and bool(self.kills) and judge(self._world.dump(), self.placed).holds
        self._good_since = (self._good_since or self.seconds) if all_well else None
        settled = self._good_since is not None and self.seconds - self._good_since >= _SETTLE_SECONDS
        self.over = settled or self.seconds >= _LIMIT_SECONDS
        if self.over and not settled:
            self._tell(f"the limit of {_LIMIT_SECONDS:.0f} s is over: what stands now is judged")

    def _tell(self, event: str) -> None:
        self.events.append((self.seconds, event))


# -- what people see -------------------------------------------------------------------------------------------

_EVENTS_SHOWN = 5
#: Lines of the live screen beside its orders.
_FRAME = 7 + _EVENTS_SHOWN
_MOST_ROWS = 20


class _Screen:
    """The day as it goes: a screen that moves on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._told = 0
        self._next_line = 0.0

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Show what `show` is given, and leave its last picture."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, auto_refresh=False) as self._live:
            yield

    def show(self, day: _Day) -> None:
        if self._live:
            self._live.update(_picture(day, self._console), refresh=True)
            return
        for seconds, event in day.events[self._told :]:
            self._console.print(f"{seconds:6.1f} s  {event}")
        self._told = len(day.events)
        if day.seconds >= self._next_line:
            self._console.print(f"{day.seconds:6.1f} s  {_counts(day.orders).plain}")
            self._next_line = day.seconds + _PLAIN_PAUSE


def _picture(day: _Day, console: Console) -> RenderableType:
    rows = max(4, min(_MOST_ROWS, console.height - _FRAME))
    approved = [each for each in day.orders if each["state"] == OrderState.APPROVED]
    moving = [each for each in day.orders if each["state"] != OrderState.APPROVED]
    # What is done scrolls away above; what moves stays in its place below.
    shown = sorted(approved, key=lambda each: (each["updated_at"], each["id"]))
    shown = (shown + sorted(moving, key=lambda each: int(each["id"])))[-rows:]
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = {"order": 10, "connection": 10, "articles": 22, "state": 10, "prebook": 7, "purchase": 8}
    for name, width in columns.items():
        table.add_column(name, width=width, no_wrap=True)
    for order in shown:
        table.add_row(
            order["axerrio"]["number"],
            order["connection"],
            " ".join(line["article_code"] for line in order["lines"]),
            state_text(order["state"]),
            order["komet"]["prebook_number"] or "-",
            " ".join(each["number"] for each in order["komet"]["purchase_orders"]) or "-",
        )
    for _ in range(rows - len(shown)):
        table.add_row()
    events = day.events[-_EVENTS_SHOWN:]
    lines = [Text(f"{seconds:5.1f} s  {event}", style="dim", no_wrap=True) for seconds, event in events]
    progress = Table.grid()
    progress.add_row(ProgressBar(total=day.total, completed=len(approved), width=min(console.width - 1, 76)))
    return Group(
        _head(day),
        progress,
        _counts(day.orders),
        Text(),
        table,
        Text(),
        *lines,
        *[Text()] * (_EVENTS_SHOWN - len(lines)),
    )


def _head(day: _Day) -> Text:
    return Text.assemble(
        ("axkomet demo", "bold"),
        f"{day.seconds:5.0f} s   Komet answers lost {day.came('lost_answer')} of {day.creates}",
        f"   workers killed {day.kills}",
    )


def _counts(orders: Sequence[Json]) -> Text:
    counts = Counter(each["state"] for each in orders)
    states = [state.value for state in PROGRESS]
    states += sorted(counts.keys() - set(states))
    line = Text(no_wrap=True)
    for state in states:
        line.append_text(state_text(state)).append(f" {counts[state]:<5}")
    line.rstrip()
    return line


def _figures(day: _Day, verdict: Verdict, requests: int) -> RenderableType:
    each = f"{requests / max(1, verdict.orders):.1f} for each order, polling every {_TIMES['poll_seconds']:g} s"
    rows = (
        ("orders", verdict.orders, ""),
        ("prebooks in Komet", verdict.prebooks, ""),
        ("purchase orders in Komet", verdict.purchase_orders, ""),
        ("linked both ways", verdict.linked, ""),
        ("approved in Axerrio", verdict.approved, ""),
        ("Komet answers lost", day.came("lost_answer"), f"of {day.creates} creates, after the work was done"),
        ("Komet creates cut off", day.came("reset_before"), "before any work"),
        ("workers killed (kill -9)", day.kills, ""),
        ("Komet requests", requests, each),
    )
    lines = [Text("\nRead from the two simulated systems, not from our ledger:\n", style="dim")]
    lines += [Text(f"  {name:<26}{number:>5}   {words}".rstrip()) for name, number, words in rows]
    judged = (("doubled", verdict.doubled), ("lost", verdict.lost))
    for name, found in judged:
        lines.append(Text(f"  {name:<26}{len(found):>5}", style="bold red" if found else "bold green"))
    for name, found in judged:
        lines += [Text(f"  {name}: {what}: {why}", style="red") for what, why in found.items()]
    return Group(*lines)


# -- running it ------------------------------------------------------------------------------------------------

_TIMES: dict[str, Any] = {
    "poll_seconds": 1.0,
    "sweep_seconds": 0.5,
    "retry_base_seconds": 0.3,
    "retry_max_seconds": 5.0,
    "http_timeout_seconds": 2.5,
    "in_doubt_grace_seconds": 2.0,
    "concurrency": 8,
}


def run_demo(*, keep: bool) -> int:
    """Play the day and judge it.

    Args:
        keep: leave everything running at the end, with Flower, until Ctrl-C.

    Returns:
        The exit code: 0 nothing lost and nothing doubled, 1 something was, 130 after Ctrl-C.

    Raises:
        Problem: the home cannot be used, another demo runs in it, or something does not start.
    """
    users = load_settings()
    home = users.home / "demo"
    console = terminal()
    with usable_home(home):
        _empty(home)
    world = _World(free_port(), free_port(), _pairs())
    # Constructed, not read: nothing of the environment or `.env` counts.
    settings = Settings.model_construct(
        home=home,
        connections=home / "connections.toml",
        flower_port=free_port() if port_taken(5555) else 5555,
        log_format="json",
        **_TIMES,
    )
    settings.connections.write_text(_connections_file(world), "utf-8")
    roles = [world.role, *_with_env(roles_of(settings, flower=keep), settings, world)]
    with contextlib.closing(world), _logging_to(home / "demo.log"):
        console.print("Starting PostgreSQL, Valkey, a simulated Komet and Axerrio, worker and beat ...")
        supervisor = Supervisor(settings, roles, migrate=migrate)
        with supervisor:
            if not _ready(supervisor, settings, world):
                return 130
            ledger = open_ledger(supervisor.urls.database_url)
            try:
                day = _play(_Day(world, ledger, supervisor), supervisor, _Screen(console))
            finally:
                ledger.engine.dispose()
            if not day.over:
                return 130
            dump = world.dump()
            verdict = judge(dump, day.placed)
            requests = sum(sum(company["requests"].values()) for company in dump["companies"])
            console.print(_figures(day, verdict, requests))
            if keep:
                console.print(_look_around(settings, users, supervisor, day, roles[-1]), soft_wrap=True)  # to paste
                while not supervisor.stop_requested:
                    supervisor.poll()
                    time.sleep(LOOK_SECONDS)
    return 0 if verdict.holds else 1


def _empty(home: Path) -> None:
    """Remove what an earlier demo left, but not the notes by which its left-over processes are found."""
    with (home / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(f"A demo runs in {home} already: end that one first.") from None
        for path in home.iterdir():
            if path.is_dir() and path.name != "run":
                shutil.rmtree(path)
            elif path.is_file() and path.name != "up.lock":
                path.unlink()


def _with_env(roles: Sequence[Role], settings: Settings, world: _World) -> list[Role]:
    """The roles with every setting and token given, so that nothing of the user's own settings reaches them."""
    own = settings.model_dump(exclude={"home", "database_url", "redis_url", "flower_user", "flower_password"})
    env = {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in own.items()}
    for pair in world.pairs:
        env |= pair.tokens
    return [replace(role, env={**env, **role.env}) for role in roles]


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Our own log goes to a file: on the terminal it would destroy the screen."""
    with path.open("w", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        configure_logs("INFO", "json")
        yield


def _ready(supervisor: Supervisor, settings: Settings, world: _World) -> bool:
    """Wait until everything runs; False when it shall stop.

    Raises:
        Problem: it takes too long.
    """
    deadline = time.monotonic() + _READY_SECONDS
    seeded = False
    problems = ["the sandbox does not answer"]
    while time.monotonic() < deadline:
        if supervisor.stop_requested:
            return False
        supervisor.poll()
        if not seeded and world.answers():
            world.seed()
            seeded = True
        if seeded:
            document = look(settings)
            if document["healthy"]:
                return True
            problems = document["problems"]
        time.sleep(LOOK_SECONDS)
    raise Problem(f"Not ready after {_READY_SECONDS:.0f} s ({' '.join(problems)}): see {settings.home / 'log'}.", 1)


def _play(day: _Day, supervisor: Supervisor, screen: _Screen) -> _Day:
    with screen.open():
        while not day.over and not supervisor.stop_requested:
            supervisor.poll()
            day.step()
            screen.show(day)
            time.sleep(LOOK_SECONDS)
    return day


def _look_around(
    settings: Settings, users: Settings, supervisor: Supervisor, day: _Day, flower: Role
) -> RenderableType:
    variables: dict[str, Any] = {"HOME": settings.home.absolute(), "CONNECTIONS": settings.connections.absolute()}
    if users.database_url:  # theirs would be used
        variables["DATABASE_URL"] = supervisor.urls.database_url
    if users.redis_url:
        variables["REDIS_URL"] = supervisor.urls.redis_url
    exports = "".join(f"  export {ENV_PREFIX}{name}={value}\n" for name, value in variables.items())
    user, password = (flower.env[f"{ENV_PREFIX}FLOWER_{name}"] for name in ("USER", "PASSWORD"))
    return Text(
        "\nEverything goes on running until Ctrl-C. Look around from another terminal:\n\n"
        f"{exports}"
        "  axkomet status\n"
        "  axkomet orders list\n"
        f"  axkomet orders show axerrio:{day.placed[0].number}\n\n"
        f"Flower: http://{LOOPBACK}:{settings.flower_port} user {user} password {password}"
    )
