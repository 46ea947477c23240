from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.komet.binding import Bound, bind_items
from clients.komet.bodies import sent_line
from models.canonical import Article, Component, Line, PrebookComponent, PrebookItem, UnitType
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


def mixed_item(item_id: str, *components: PrebookComponent, **changes: Any) -> PrebookItem:
    """An item as Komet shows `mixed_line()`; without components it hides them."""
    given = {
        "product_description": "Mixed roses 50 cm",
        "boxes": 2,
        "box_type": "QB",
        "bunches_per_box": 8,
        "unit_type": UnitType.BUNCH,
        "components": components,
        **changes,
    }
    return item(item_id, **given)


FREEDOM = component()
WHITE = component("RMOND50", bunches=3)
OURS = (FREEDOM, WHITE)


def of(*parts: tuple[str, int], stems: int = 25) -> tuple[Component, ...]:
    return tuple(
        Component(article=Article(code=code, description=code), bunches=bunches, stems_per_bunch=stems)
        for code, bunches in parts
    )


class TestMixed:
    @pytest.mark.parametrize(
        "components",
        [
            (),
            OURS,
            OURS[::-1],
            (component(None), component("Rosen", bunches=3)),
            (component(bunches=None), WHITE),
            (component(stems_per_bunch=None), component(bunches=3, stems_per_bunch=None)),
            (component(bunches=None), component(bunches=5)),
        ],
    )
    def test_the_packs_are_those_sent_as_far_as_they_are_shown(self, components: Sequence[PrebookComponent]) -> None:
        assert bind([mixed_line("1")], [mixed_item("1", *components)]) == {"1": "1"}

    @pytest.mark.parametrize(
        "components",
        [
            (FREEDOM,),
            (FREEDOM, WHITE, WHITE),
            (FREEDOM, FREEDOM),
            (component(bunches=4), component(bunches=4)),
            (FREEDOM, component(bunches=3, stems_per_bunch=20)),
            (component(bunches=8), component(bunches=None)),
        ],
    )
    def test_other_packs_are_a_persons(self, components: Sequence[PrebookComponent]) -> None:
        assert bind([mixed_line("1")], [mixed_item("1", *components)]) == {}

    def test_a_line_of_one_product_is_no_mixed_box(self) -> None:
        assert bind([line("1")], [item("1", components=OURS)]) == {}
        plain = mixed_line("1", breakdown=())
        assert bind([plain, mixed_line("2")], [mixed_item("1", *OURS), mixed_item("2")]) == {"1": "2", "2": "1"}

    def test_one_name_for_two_contents(self) -> None:
        """The commercial name is the same and so are the packs: the products tell them apart."""
        sent = [mixed_line("1", breakdown=of(("A", 5), ("B", 3))), mixed_line("2", breakdown=of(("A", 3), ("B", 5)))]
        items = [
            mixed_item("1", component("b", bunches=5), component("a", bunches=3)),
            mixed_item("2", component("B", bunches=3), component("A", bunches=5)),
        ]
        assert bound(sent, items) == Bound({"1": "2", "2": "1"}, frozenset())

    def test_the_products_say_more_than_the_name_of_the_box(self) -> None:
        sent = [mixed_line("1"), mixed_line("2", breakdown=of(("A", 5), ("B", 3)))]
        theirs = (component("A"), component("B", bunches=3))
        items = [mixed_item("1", *theirs), mixed_item("2", *OURS, product_description="Bunte Rosen")]
        assert bound(sent, items) == Bound({"1": "2", "2": "1"}, frozenset())

    def test_the_name_of_the_box_says_more_than_nothing(self) -> None:
        theirs = (component("Rood"), component("Wit", bunches=3))
        sent = [mixed_line("1"), mixed_line("2", article=MONDIAL)]
        items = [mixed_item("1", *theirs, product_description="rmond50"), mixed_item("2", *theirs)]
        assert bound(sent, items) == Bound({"1": "2", "2": "1"}, frozenset())

    def test_what_the_products_decide_leaves_the_rest(self) -> None:
        theirs = (component("Rood"), component("Wit", bunches=3))
        sent = [mixed_line("1", breakdown=of(("A", 5), ("B", 3))), mixed_line("2")]
        items = [mixed_item("1", *OURS), mixed_item("2", *theirs, product_description="Bunt")]
        assert bound(sent, items) == Bound({"1": "2", "2": "1"}, frozenset())

    def test_hidden_products_are_no_worse_than_a_plain_line(self) -> None:
        plain = mixed_line("1", breakdown=())
        assert bind([plain, mixed_line("2")], [mixed_item("8"), mixed_item("9")]) == {"1": "8", "2": "9"}
        renamed = [mixed_item(each, product_description="Rosen") for each in ("8", "9")]
        assert bind([mixed_line("1"), mixed_line("2", breakdown=())], renamed) == {"1": "8", "2": "9"}

    def test_products_in_any_number_are_paired_in_time(self) -> None:
        many = of(*((f"P{number}", 1) for number in range(60)))
        hidden = [component(None, bunches=None) for _ in range(59)]
        sent = [mixed_line("1", breakdown=many)]
        assert bind(sent, [mixed_item("1", *hidden, component(bunches=1))]) == {"1": "1"}
        assert bind(sent, [mixed_item("1", *hidden, component(bunches=2))]) == {}


class TestTied:
    def test_lines_that_order_alone_told_apart(self) -> None:
        sent = [line("1"), line("2"), line("3", article=MONDIAL)]
        items = [item("1"), item("2"), item("3", product_description="Roses White")]
        assert bound(sent, items) == Bound({"1": "1", "2": "2", "3": "3"}, frozenset({"1", "2"}))

    def test_renamed_ones(self) -> None:
        sent = [line("1"), line("2", article=MONDIAL)]
        items = [item("1", product_description="Rosen A"), item("2", product_description="Rosen B")]
        assert bound(sent, items) == Bound({"1": "1", "2": "2"}, frozenset({"1", "2"}))

    def test_one_line_that_could_have_taken_another(self) -> None:
        items = [item("1", product_description="Rosen A"), item("2", product_description="Rosen B")]
        assert bound([line("1")], items) == Bound({"1": "1"}, frozenset({"1"}))

    def test_what_is_not_bound_is_not_tied(self) -> None:
        assert bound([line("1"), line("2")], [item("1")]) == Bound({}, frozenset())

    def test_a_renamed_one_that_is_the_only_one_left(self) -> None:
        sent = [line("1"), line("2", article=MONDIAL)]
        assert bound(sent, [item("1"), item("2", product_description="Roses White")]).tied == frozenset()


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
    assert bound(sent, items).tied <= pairs.keys()
    assert bind(sent, items[::-1]) == pairs, "the order in which Komet lists its items says nothing"


@given(data=st.data(), sent=lines)
def test_an_answer_that_shows_all_binds_all(data: st.DataObject, sent: list[Line]) -> None:
    items = data.draw(st.permutations([shown(each, 95 + n, frozenset(), False) for n, each in enumerate(sent)]))
    assert bind(sent, items) == {each.line_key: str(95 + n) for n, each in enumerate(sent)}


mixed_lines = st.lists(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 2)), min_size=2, max_size=3), max_size=4
).map(lambda all_: [mixed_line(str(number), breakdown=of(*each)) for number, each in enumerate(all_)])


@given(data=st.data(), sent=mixed_lines, renamed=st.booleans())
def test_mixed_boxes_go_to_boxes_of_the_same_content(data: st.DataObject, sent: list[Line], renamed: bool) -> None:
    def content(components: Sequence[Component] | Sequence[PrebookComponent]) -> list[tuple[Any, ...]]:
        return sorted(
            (
                each.article.code if isinstance(each, Component) else each.product_description,
                each.bunches,
                each.stems_per_bunch,
            )
            for each in components
        )

    items = []
    for number, each in enumerate(sent):
        shown = [
            component(part.article.code, bunches=part.bunches) for part in data.draw(st.permutations(each.breakdown))
        ]
        items.append(mixed_item(str(90 + number), *shown, product_description="Rosen" if renamed else "MIXROSE"))
    found = bound(sent, data.draw(st.permutations(items)))
    by_id = {each.item_id: each for each in items}
    by_key = {each.line_key: each for each in sent}
    assert found.pairs.keys() == by_key.keys(), "an answer that shows all binds all"
    for key, item_id in found.pairs.items():
        mine = content(by_key[key].breakdown)
        assert content(by_id[item_id].components) == mine
        assert (key in found.tied) is ([content(each.breakdown) for each in sent].count(mine) > 1)
