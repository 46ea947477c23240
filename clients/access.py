"""Where a system is reached and where its token is found: the part that both settings share."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

_TOKEN = re.compile(r"[!-~]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What no token looks like, so that it may be shown.
_PLAINLY_A_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


class Access(BaseModel):
    """Address and place of the token. Exactly one of `token_env` and `token_file` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    base_url: str
    """Address, without a query; plain http only to this machine, unless `allow_http`."""
    token_env: str | None = None
    """Name of the variable, of the environment or `.env`, that holds the token. Either it or `token_file` is given."""
    token_file: Path | None = None
    """Path of the file that holds the token."""
    allow_http: bool = False
    """Allow plain http beyond this machine, which shows the token to the network."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with https:// and name a host")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must hold no user, query or fragment")
        return value.strip().rstrip("/")

    @field_validator("token_env")
    @classmethod
    def _variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.fullmatch(value):
            raise ValueError("must be the name of the variable that holds the token, not the token itself")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.token_env is None) == (self.token_file is None):
            raise ValueError("give exactly one of token_env and token_file")
        parts = urlsplit(self.base_url)
        if parts.scheme == "http" and not self.allow_http and not _is_loopback(parts.hostname or ""):
            raise ValueError("plain http shows the token to the network: use https, or allow_http = true")
        return self


def resolve_token(settings: Access, read_variable: Callable[[str], str | None]) -> str:
    """Read the token that the settings point to.

    Args:
        settings: of either system.
        read_variable: gives an environment variable's value, None if it is not set.

    Raises:
        ValueError: one sentence without the token: not set, not readable, empty, or not printable ASCII.
    """
    if settings.token_env is not None:
        place = f"variable {settings.token_env}"
        value = read_variable(settings.token_env)
        if value is None:
            if not _PLAINLY_A_NAME.fullmatch(settings.token_env):
                raise ValueError("the variable that token_env names is not set; is it the token itself?")
            raise ValueError(f"{place} is not set")
    else:
        place = f"file {settings.token_file}"
        try:
            value = Path(settings.token_file or "").read_text("utf-8-sig")
        except OSError as error:
            raise ValueError(f"{place} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{place} cannot be read: it is not text") from None
    value = value.strip()
    if not value:
        raise ValueError(f"{place} is empty")
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"{place} holds more than one word of printable ASCII")
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
