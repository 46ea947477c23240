from pathlib import Path

import pytest
from pydantic import ValidationError

from clients.access import Access, resolve_token
from clients.axerrio.settings import AxerrioSettings
from tests.clients.orders import settings


def unset(_: str) -> None:
    return None


def access(**changes: object) -> Access:
    return Access.model_validate({"base_url": "https://k.example", "token_env": "T", **changes})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8", "http://localhost/api", "http://[::1]:1", "https://k.example/"])
def test_addresses_that_are_safe(url: str) -> None:
    assert access(base_url=url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["http://k.example", "ftp://k.example", "k.example", "https://", "https://u:p@k.example", "https://k.example?a=b"],
)
def test_addresses_that_are_not(url: str) -> None:
    with pytest.raises(ValidationError):
        access(base_url=url)


def test_plain_http_on_purpose() -> None:
    assert access(base_url="http://10.0.0.1", allow_http=True).allow_http


@pytest.mark.parametrize("places", [{"token_env": None}, {"token_file": "x"}, {"token": "s3cret"}])
def test_exactly_one_place_of_the_token(places: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        access(**places)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "complaint"), [(None, "is not set"), (" ", "is empty"), ("a b", "more than one word"), ("é", "ASCII")]
)
def test_variables_without_a_token(value: str | None, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        resolve_token(access(), {"T": value}.get)
    assert str(caught.value).startswith("variable T ")


def test_a_token_in_place_of_its_variable_is_not_repeated() -> None:
    with pytest.raises(ValidationError, match="the name of the variable") as caught:
        access(token_env="s3cret-4f9a")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("token", ["KS7f3a9Qx", "s3cret4f9a", "_s3cret"])
def test_nor_is_one_that_could_be_the_name_of_a_variable(token: str) -> None:
    with pytest.raises(ValueError, match="is it the token itself") as caught:
        resolve_token(access(token_env=token), unset)
    assert token not in str(caught.value)


def test_reads_a_variable() -> None:
    assert resolve_token(access(), {"T": "abc"}.get) == "abc"


def test_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    mine = access(token_env=None, token_file=file)
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        resolve_token(mine, unset)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not text"):
        resolve_token(mine, unset)
    file.write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        resolve_token(mine, unset)
    for encoding in ("utf-8", "utf-8-sig"):
        file.write_text("abc\n", encoding)
        assert resolve_token(mine, unset) == "abc"


@pytest.mark.parametrize("bad", [{"daily_requests": 0}, {"requests_per_second": 0}, {"company_code": ""}])
def test_numbers_of_a_komet_company(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**bad)


def test_a_tenant_fits_a_header() -> None:
    with pytest.raises(ValidationError):
        AxerrioSettings(base_url="https://a.example", token_env="T", tenant="a\nb")
