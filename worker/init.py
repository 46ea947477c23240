"""`axkomet init`: a commented connections file and an `.env` for the first day. Nothing is overwritten."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from worker.connections import parse_connections
from worker.problems import Exit, Problem
from worker.settings import ENV_FILE


@dataclass(frozen=True)
class Answers:
    """What must be known of the first connection."""

    name: str
    time_zone: str
    komet_url: str
    company_code: str
    axerrio_url: str
    #: Empty: it has none.
    tenant: str
    #: Empty: filled in later.
    komet_token: str = ""
    axerrio_token: str = ""


def check_new(connections: Path) -> None:
    """Nobody is asked for what would then be thrown away.

    Raises:
        Problem: there is a connections file already, or nobody can tell.
    """
    try:
        is_there = connections.exists()
    except OSError as error:
        raise _not_written(connections, error) from None
    if is_there:
        raise Problem(f"{connections} is there already, and init overwrites nothing: add a connection to it by hand.")


def write_files(answers: Answers, connections: Path) -> list[Path]:
    """Write what is not there yet.

    Args:
        answers: of the user.
        connections: where the connections file belongs.

    Returns:
        The files that were written: `.env` is left as it is where there is one.

    Raises:
        Problem: there is a connections file already, an answer is wrong, or a file cannot be written.
    """
    check_new(connections)
    text = _connections_file(answers)
    parse_connections(text, connections)
    files = {connections: (text, 0o644)}
    if not ENV_FILE.exists():
        files[ENV_FILE] = (_env_file(answers), 0o600)
    written: list[Path] = []
    try:
        for file, (content, mode) in files.items():
            _write(file, content, mode, written)
    except OSError as error:
        for each in written:  # what is there would keep the next `init` from writing it
            each.unlink()
        raise _not_written(file, error) from None
    return written


def _write(file: Path, content: str, mode: int, written: list[Path]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    written.append(file)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(content)


def _not_written(file: Path, error: OSError) -> Problem:
    return Problem(f"{file} cannot be written: {error.strerror}.", Exit.FAILED)


def variable(system: str, name: str) -> str:
    """Name of the variable that holds a token of a connection."""
    return f"{system}_TOKEN_{name.upper().replace('-', '_')}"


def _connections_file(answers: Answers) -> str:
    name, zone, komet, code, axerrio, tenant = (
        json.dumps(each, ensure_ascii=False)
        for each in (
            answers.name,
            answers.time_zone,
            answers.komet_url,
            answers.company_code,
            answers.axerrio_url,
            answers.tenant,
        )
    )
    return f"""\
# One [[connection]] for each Axerrio tenant that is joined to a Komet company.
[[connection]]
name = {name}
mode = "observe"                      # reads, plans and shows, and writes nothing; then "live"
# start_date = 2026-12-01             # orders made before it create nothing
time_zone = {zone}         # of the Komet company: what it calls today
change_after_approval = "hold"        # or "apply": change also what procurement has approved
change_guard = 25                     # so many orders cancelled or changed in ten minutes wait for a person; 0: none
send_temporary_awb = false            # true: do not wait for the real air waybill
# default_buyer = "MIAFLOWERS"        # Axerrio's buyer of prebooks whose Komet customer is none of the buyers below

[connection.komet]
base_url = {komet}
token_env = "{variable("KOMET", answers.name)}"   # or token_file = "/run/secrets/komet"
company_code = {code}                 # connections that name the same company share its requests
# location_code = "MIA"               # for a company with many locations
daily_requests = 1000                 # 1,000 for each user the company pays for
requests_per_second = 5
# inbound_carrier_code = "ARM"        # where purchase orders must name a carrier

[connection.axerrio]
base_url = {axerrio}
token_env = "{variable("AXERRIO", answers.name)}"
{"tenant = " + tenant if answers.tenant else '# tenant = "farm1"'}

[connection.buyers]                   # Axerrio buyer = Komet customer
# MIAFLOWERS = "C100"
# SUNBLOOM = {{ code = "C214", description = "Sunbloom Wholesale" }}
[connection.carriers]                 # Axerrio carrier = Komet carrier; the same code where none is given
# ARMELLINI = "ARM"
[connection.packings]                 # Axerrio packing = Komet box type; the same code where none is given
# HALF = "HB"
"""


def _env_file(answers: Answers) -> str:
    return f"""\
# Tokens. Komet's is made for the vendor under Setup, Settings, Integrations, Tokens.
{variable("KOMET", answers.name)}={_quoted(answers.komet_token)}
{variable("AXERRIO", answers.name)}={_quoted(answers.axerrio_token)}

# Where these two are not set, `axkomet up` runs PostgreSQL and Valkey itself.
# AXKOMET_DATABASE_URL=postgresql+psycopg://USER:PASSWORD@HOST:5432/axkomet
# AXKOMET_REDIS_URL=redis://:PASSWORD@HOST:6379/0

AXKOMET_FLOWER_PASSWORD={secrets.token_urlsafe(12)}
"""


def _quoted(token: str) -> str:
    """So that `read_secret_variable` gives it back."""
    if not token or token.endswith("\\"):  # within quotes a backslash at the end would take the quote for its own
        return token
    escaped = token.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
