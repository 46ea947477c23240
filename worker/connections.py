"""The connections file: which Axerrio tenant is joined to which Komet company."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clients.access import Access, resolve_token
from tasks.connection import ConnectionSettings
from worker.problems import Problem
from worker.settings import Settings, read_secret_variable


def load_connections(path: Path) -> list[ConnectionSettings]:
    """Read the connections file.

    Raises:
        Problem: it is missing, no TOML, or a value in it is wrong; one sentence that names connection and key.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise Problem(
            f"There is no connections file at {path}: `axkomet init` writes one; or name another with "
            "AXKOMET_CONNECTIONS."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"The connections file {path} cannot be read: {error}.") from None
    return parse_connections(text, path)


def parse_connections(text: str, path: Path) -> list[ConnectionSettings]:
    """Read a connections file's text.

    Raises:
        Problem: it is no TOML, or a value in it is wrong; one sentence that names connection and key.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number, or nesting, beyond what anybody means
        raise Problem(f"The connections file {path} is not valid TOML: {error}.") from None
    entries = content.pop("connection", [])
    if content or not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
        raise Problem(f"The connections file {path} must hold one or more [[connection]] tables and nothing else.")
    connections = [_read(path, number, entry) for number, entry in enumerate(entries, 1)]
    names = [each.name for each in connections]
    for name in names:
        if names.count(name) > 1:
            raise Problem(f"The connections file {path} names two connections {name}: give each its own name.")
    joined = [each.joins for each in connections]
    for each in connections:
        if joined.count(each.joins) > 1:
            raise Problem(
                f"The connections file {path} joins one Komet company to one Axerrio tenant twice, in {each.name} too: "
                "every order would be made twice. Keep one of them."
            )
    return connections


def packings_of(settings: Settings, connection: str) -> Mapping[str, str]:
    """Komet's box type for a packing of a connection; none where the connections file cannot be read."""
    try:
        named = load_connections(settings.connections)
    except Problem:
        return {}
    return next((each.packings for each in named if each.name == connection), {})


def is_forgotten(settings: Settings, connection: str) -> bool:
    """The connections file names only others; False where it cannot be read."""
    try:
        return all(each.name != connection for each in load_connections(settings.connections))
    except Problem:
        return False


def _read(path: Path, number: int, entry: dict[str, Any]) -> ConnectionSettings:
    name = entry.get("name", f"number {number}")
    try:
        return ConnectionSettings.model_validate(entry)
    except ValidationError as invalid:
        # A misspelt key is often a missing one too, and the wrong word is the one to look for.
        error = min(invalid.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in error["loc"]) or "its settings"
        message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if error["type"] == "extra_forbidden":
            message = "is no such key; look for a typing error"
        elif error["type"] == "missing":
            message = "is missing"
        raise Problem(f"{path}, connection {name}: {key}: {message}.") from None


def read_token(path: Path, connection: str, system: str, access: Access) -> str:
    """The token of one system of a connection.

    Raises:
        Problem: its variable is not set or its file cannot be read.
    """
    try:
        return resolve_token(access, read_secret_variable)
    except ValueError as error:
        raise Problem(f"{path}, connection {connection}: the {system} token: {error}.") from None
