"""The page on the Komet profile says what the code does: every switch once, with its default and its values."""

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from clients.komet.profile import KometProfile

PAGE = (Path(__file__).parents[2] / "docs" / "komet-profile.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
BELOW: dict[str, Any] = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[-1])
#: Each switch by its name, its default and its meaning as the page has them.
TABLE = {name: (default, meaning) for name, default, meaning in ROWS}


def as_toml(value: object) -> object:
    """A default as a TOML file would hold it."""
    return list(value) if isinstance(value, tuple) else value


def test_every_switch_stands_there_once() -> None:
    assert sorted(name for name, *_ in ROWS) == sorted(KometProfile.model_fields)


@pytest.mark.parametrize("name", KometProfile.model_fields)
def test_a_default_is_what_the_page_says(name: str) -> None:
    default, _ = TABLE[name]
    field = KometProfile.model_fields[name]
    value = as_toml(field.get_default(call_default_factory=True))
    if default == "not set":
        assert value is None
    elif default == "below":
        assert BELOW[name] == value
    else:
        assert tomllib.loads(f"default = {default.strip('`')}") == {"default": value}


def test_nothing_else_stands_below() -> None:
    assert BELOW.keys() == {name for name, (default, _) in TABLE.items() if default == "below"}


@pytest.mark.parametrize("name", KometProfile.model_fields)
def test_every_value_of_a_choice_is_explained(name: str) -> None:
    annotation = KometProfile.model_fields[name].annotation
    if get_origin(annotation) is Literal:
        default, meaning = TABLE[name]
        named = {value.strip('"') for value in re.findall(r'`("\w+")`', f"{default} {meaning}")}
        assert named == set(get_args(annotation))


def test_its_examples_are_settings() -> None:
    first = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert KometProfile.model_validate(first["connection"]["komet"]["profile"]) != KometProfile()
    assert KometProfile.model_validate({"po_item_fields": {"boxes": "quantity"}})
    assert KometProfile.model_validate({"po_status_map": {"In Review": "pending"}})
