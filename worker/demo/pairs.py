"""The two connections of the demo, and what is traded on them."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Code: description, stems in a bunch, cost of a stem. Both systems know them.
ARTICLES = {
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
#: Axerrio sells them, and Komet does not know them until somebody maps them.
NEW_ARTICLES = {
    "RSTAR50": ("Rose Stardust 50 cm", 25, "0.36"),
    "RCAND60": ("Rose Candy Avalanche 60 cm", 25, "0.38"),
}
#: One of them Komet has under another code and description, which a mapping given here must name.
KOMETS_NAMES = {"RCAND60": ("CANDYAV60", "Candy Avalanche 60 cm")}
MIXED = ("MIXROSE", "Mixed roses 50 cm")
#: What goes into mixed boxes: article and bunches.
MIXTURE = (("RFREE50", 5), ("RMOND50", 3))


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
    airline: str
    komet_token: str = field(default_factory=lambda: secrets.token_hex(16))
    axerrio_token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def tokens(self) -> dict[str, str]:
        """By the variables that the connections file names."""
        name = self.name.upper()
        return {f"KOMET_TOKEN_{name}": self.komet_token, f"AXERRIO_TOKEN_{name}": self.axerrio_token}


def pairs() -> tuple[Pair, Pair]:
    """Both connections, with tokens made anew."""
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
            airline="729",
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
            airline="706",
        ),
    )


def connections_file(
    pairs: Sequence[Pair],
    komet_url: str,
    axerrio_url: str,
    *,
    requests_per_second: int = 10,
    change_guard: int = 25,
    allow_http: bool = False,
) -> str:
    """The connections file that joins the companies to the tenants. Changes are applied after the approval, too."""
    beyond_loopback = "\nallow_http = true" if allow_http else ""
    return "\n".join(
        f"""[[connection]]
name = "{pair.name}"
time_zone = "{pair.company_zone}"
change_after_approval = "apply"
change_guard = {change_guard}
[connection.komet]
base_url = "{komet_url}"{beyond_loopback}
token_env = "KOMET_TOKEN_{pair.name.upper()}"
company_code = "{pair.company_code}"
daily_requests = 1000000
requests_per_second = {requests_per_second}
[connection.axerrio]
base_url = "{axerrio_url}"{beyond_loopback}
token_env = "AXERRIO_TOKEN_{pair.name.upper()}"
tenant = "{pair.tenant}"
[connection.buyers]
"""
        + "".join(f'{code} = "{customer}"\n' for code, (customer, _) in pair.buyers.items())
        for pair in pairs
    )
