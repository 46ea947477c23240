from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from clients.komet.convert import Bound, bind_items, sent_line
from models.canonical import Article, Line, PrebookItem, UnitType
from tests.clients.orders import BOX_TYPES, component, item, line, mixed_line, settings


def bound(sent: Sequence[Line], items: Sequence[PrebookItem]) -> Bound:
    kept = {each.line_key: sent_line(each, packings={"Q4": "QB"}, settings=settings()) for each in sent}
    return bind_items(kept, items, box_types=BOX_TYPES)


def bind(sent: Sequence[Line], items: Sequence[PrebookItem]) -> dict[str, str]:
    return bound(sent, items).pairs


MONDIAL = Article(code="RMOND50", description="Rose Mondial 50 cm")


def test_by_what_was_sent() -> None:
    sent = [line("1"), line("2", article=MONDIAL), line("3", boxes=5)]
    items = [item("30", boxes=5), item("10", product_description="ROSE  mondial 50 cm"), item("20")]
    assert bind(sent, items) == {"1": "20", "2": "10", "3": "30"}


def test_the_code_names_it_too() -> None:
    assert bind([line("1"), line("2", article=MONDIAL)], [item("1", product_description="rmond50"), item("2")]) == {
        "1": "2",
        "2": "1",
    }


def test_a_name_of_komets_own_is_left_for_the_rest() -> None:
    sent = [line("1"), line("2", article=MONDIAL)]
    assert bind(sent, [item("1"), item("2", product_description="Roses White")]) == {"1": "1", "2": "2"}


def test_ties_go_in_the_order_sent_by_number() -> None:
    assert bind([line("b"), line("a")], [item("100"), item("99")]) == {"b": "99", "a": "100"}


def test_one_line_takes_the_lowest() -> None:
    assert bind([line("1")], [item("9"), item("10")]) == {"1": "9"}


@pytest.mark.parametrize("count", [1, 3])
def test_counts_that_differ_bind_nothing(count: int) -> None:
    assert bind([line("1"), line("2")], [item(str(each)) for each in range(count)]) == {}


def test_a_group_in_doubt_lends_no_item_to_another_line() -> None:
    sent = [line("1"), line("2"), line("3", article=MONDIAL)]
    assert bind(sent, [item("1"), item("2"), item("3")]) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"boxes": 0},
        {"boxes": 5},
        {"box_type": "QB"},
        {"bunches_per_box": 9},
        {"stems_per_bunch": 20},
        {"unit_type": UnitType.BUNCH},
        {"mark_code": "OTHER"},
        {"components": (component(),)},
    ],
)
def test_an_item_that_differs_is_a_persons(change: dict[str, Any]) -> None:
    assert bind([line("1")], [item("1", **change)]) == {}


@pytest.mark.parametrize("name", ["box_type", "bunches_per_box", "stems_per_bunch", "unit_type", "mark_code"])
def test_what_komet_hides_does_not_matter(name: str) -> None:
    assert bind([line("1")], [item("1", **{name: None})]) == {"1": "1"}


def test_a_missing_mark_code_is_an_empty_one_where_others_are_shown() -> None:
    sent = [line("1", mark_code="DOCK2"), line("2", mark_code="")]
    assert bind(sent, [item("1", mark_code=None), item("2")]) == {"1": "2", "2": "1"}


def test_box_types_by_id() -> None:
    assert bind([line("1")], [item("1", box_type="1057")]) == {"1": "1"}


def test_a_mixed_line_and_its_item() -> None:
    shown = {"boxes": 2, "box_type": "QB", "bunches_per_box": 8, "unit_type": UnitType.BUNCH}
    assert bind([mixed_line("1")], [item("1", **shown)]) == {"1": "1"}


lines = st.lists(
    st.builds(
        lambda article, boxes, mark_code: {"article": article, "boxes": boxes, "mark_code": mark_code},
        st.sampled_from([Article(code="RFREE50", description="Rose Freedom 50 cm"), MONDIAL]),
        st.integers(1, 2),
        st.sampled_from(["", "D1"]),
    ),
    max_size=5,
).map(lambda all_: [line(str(number), **each) for number, each in enumerate(all_)])


def shown(what: Line, item_id: int, hidden: frozenset[str], renamed: bool) -> PrebookItem:
    fields: dict[str, Any] = {
        "boxes": what.boxes,
        "mark_code": what.mark_code or None,
        "product_description": "Rosen" if renamed else what.article.description,
    }
    return item(str(item_id), **{**fields, **dict.fromkeys(hidden)})


@examples(deadline=None)
@given(data=st.data(), sent=lines)
def test_never_two_lines_to_one_item(data: st.DataObject, sent: list[Line]) -> None:
    names = st.frozensets(st.sampled_from(["box_type", "bunches_per_box", "mark_code", "unit_type"]))
    of_ours = [shown(each, 95 + n, data.draw(names), data.draw(st.booleans())) for n, each in enumerate(sent)]
    extra = [shown(each, 200 + n, data.draw(names), False) for n, each in enumerate(data.draw(lines))]
    gone = [item("300", boxes=0)]
    items = data.draw(st.permutations(of_ours + extra + gone))
    pairs = bind(sent, items)
    assert len(set(pairs.values())) == len(pairs)
    by_id = {each.item_id: each for each in items}
    by_key = {each.line_key: each for each in sent}
    assert all(by_id[item_id].boxes == by_key[key].boxes > 0 for key, item_id in pairs.items())
    assert bind(sent, items[::-1]) == pairs, "the order in which Komet lists its items says nothing"


@examples(deadline=None)
@given(data=st.data(), sent=lines)
def test_an_answer_that_shows_all_binds_all(data: st.DataObject, sent: list[Line]) -> None:
    items = data.draw(st.permutations([shown(each, 95 + n, frozenset(), False) for n, each in enumerate(sent)]))
    assert bind(sent, items) == {each.line_key: str(95 + n) for n, each in enumerate(sent)}
