"""Edits by path: what they change, and what they leave alone."""

from typing import Any

import pytest

from relay.kit.edits import read, split_path, with_change, with_objects, with_value, without
from relay.kit.js import ABSENT

EVENT: dict[str, Any] = {"a": {"b": 1, "x.y": 2, "none": None, "rows": [{"c": 1}, "text", {"c": 2, "d": {"e": 5}}]}, "s": "text"}


def keys(path: str) -> tuple[str, ...]:
    return split_path(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", ("a",)), ("a.b", ("a", "b")), (r"a.x\.y", ("a", "x.y")), (r"\.", (".",)), (r"a\\.b", ("a\\", "b")), ("", ("",)), ("a..b", ("a", "", "b")),
        (r"a\.b.", ("a.b", "")), ("a\\", ("a",)),
    ],
)  # fmt: skip
def test_a_path_is_split_at_dots_that_are_not_escaped(path: str, expected: tuple[str, ...]) -> None:
    assert split_path(path) == expected


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 1), (r"a.x\.y", 2), ("a.none", None), ("a.missing", ABSENT), ("s.b", ABSENT), ("a.rows.c", ABSENT), ("a.b.c", ABSENT), ("z.z", ABSENT)],
)
def test_a_value_is_read_through_objects_only(path: str, value: Any) -> None:
    assert read(EVENT, keys(path)) is value or read(EVENT, keys(path)) == value


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("a.b", {"b": 9}), ("a.new", {"new": 9}), ("a.deep.er", {"deep": {"er": 9}}), ("a.none.x", {"none": {"x": 9}}),
        ("a.rows.c", {"rows": [{"c": 9}, "text", {"c": 9, "d": {"e": 5}}]}),
        ("a.rows.d.e", {"rows": [{"c": 1, "d": {"e": 9}}, "text", {"c": 2, "d": {"e": 9}}]}),
    ],
)  # fmt: skip
def test_a_value_is_put_in_and_what_is_on_the_way_is_made(path: str, changed: dict[str, Any]) -> None:
    assert with_value(EVENT, keys(path), 9) == {**EVENT, "a": {**EVENT["a"], **changed}}


def test_nothing_is_put_below_a_value_that_is_no_object() -> None:
    for path in ("s.b", "a.b.c"):
        assert with_value(EVENT, keys(path), 9) is EVENT


def test_what_is_equal_already_is_no_change_but_true_is_not_one() -> None:
    assert with_value(EVENT, keys("a.b"), 1) is EVENT
    assert with_value(EVENT, keys("a.b"), True)["a"]["b"] is True
    assert with_value(EVENT, keys("a.b"), 1.0) is not EVENT


def test_what_is_removed_is_gone_and_the_rest_is_the_same_object() -> None:
    made = without(EVENT, keys("a.b"))
    assert "b" not in made["a"]
    assert made["a"]["rows"] is EVENT["a"]["rows"]
    assert without(EVENT, keys("a.rows.c"))["a"]["rows"] == [{}, "text", {"d": {"e": 5}}]
    for path in ("a.missing", "z", "s.b", "a.rows.z"):
        assert without(EVENT, keys(path)) is EVENT


def test_a_change_is_asked_where_there_is_a_value_only() -> None:
    assert with_change(EVENT, keys("a.rows.c"), lambda value: value + 1)["a"]["rows"] == [{"c": 2}, "text", {"c": 3, "d": {"e": 5}}]
    assert with_change(EVENT, keys("a.zz"), lambda value: 1) is EVENT
    assert with_change(EVENT, keys("a.b"), lambda value: value) is EVENT


def test_objects_are_changed_at_the_top_at_a_path_and_in_a_list() -> None:
    def mark(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "m": 1}

    assert with_objects(EVENT, (), mark)["m"] == 1
    assert with_objects(EVENT, keys("a.rows"), mark)["a"]["rows"] == [{"c": 1, "m": 1}, "text", {"c": 2, "d": {"e": 5}, "m": 1}]
    assert with_objects(EVENT, keys("s"), mark) is EVENT
    assert with_objects(EVENT, keys("a.b"), mark) is EVENT
