"""The outside world of the demo: two companies and two tenants in the sandbox, their orders and their faults."""

import random
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import httpx

from worker.demo.verdict import Placed
from worker.problems import Problem
from worker.services import LOOPBACK
from worker.supervisor import Role, axkomet_command

Json = dict[str, Any]

_APPROVAL_SECONDS = 6.0
CREATES = ("prebook.create", "purchase.order.create")
#: Share of Komet's answers to creates that are lost after the work was done.
LOST_SHARE = 0.2
#: Of the dice that decide it: with so few throws, one whose luck is about that share.
_SEED = 2
#: Prebooks of each company before the one whose connection breaks before any work.
_CUT_OFF_AFTER = 6
#: Komet's time for a create, so that calls are under way when the worker is killed.
ANSWER_SECONDS = 0.3

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
class Pair:
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


def pairs() -> tuple[Pair, ...]:
    """Both connections of the demo, with tokens made anew."""
    return (
        Pair(
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
        Pair(
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


class World:
    """The sandbox, through its control interface."""

    def __init__(self, komet_port: int, axerrio_port: int, pairs: Sequence[Pair]) -> None:
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
        """The sandbox is up."""
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
                "probability": LOST_SHARE,
                "seed": seed,
            }
            for seed, (pair, method) in enumerate(product(self.pairs, CREATES), start=_SEED)
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
        slow = [{"system": "komet", "method": each, "kind": "slow", "seconds": ANSWER_SECONDS} for each in CREATES]
        self._call("POST", "seed", {"companies": companies, "tenants": tenants})
        self._call("POST", "faults", {"faults": cut + lost + slow})

    def place(self, pair: Pair, count: int) -> list[Placed]:
        """Confirm so many orders in Axerrio."""
        records = [self._order(pair) for _ in range(count)]
        self._call("POST", "orders", {"tenant_token": pair.axerrio_token, "orders": records})
        return [Placed(pair.company_code, pair.tenant, record) for record in records]

    def dump(self) -> Json:
        """Everything of both systems, as it really stands."""
        found: Json = self._call("GET", "dump")
        return found

    def new_requests(self) -> list[Json]:
        """What was asked of either since the last look."""
        found: list[Json] = self._call("GET", f"requests?since={self._seen}")
        self._seen = max((entry["n"] for entry in found), default=self._seen)
        return found

    def close(self) -> None:
        """Give the connection to the sandbox back."""
        self._http.close()

    def _call(self, verb: str, path: str, body: Json | None = None) -> Any:
        try:
            return self._http.request(verb, path, json=body).raise_for_status().json()
        except httpx.HTTPError as error:
            raise Problem(f"The sandbox does not do its part ({error}): see log/sandbox.log.", exit_code=1) from None

    def _order(self, pair: Pair) -> Json:
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


def connections_file(world: World) -> str:
    """The connections file that joins the companies to the tenants."""
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
