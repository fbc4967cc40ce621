"""Edits by path, and what conditions rule out beforehand; rules on whole events are in test_governance."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.kit.edits import read, with_value, without
from relay.kit.fql import compile_filter, compile_trigger, filter_names, filter_types, possible_types
from relay.kit.js import ABSENT
from tests.support.worlds import CONDITIONS, JSON, KEYS, MESSAGES, OBJECT, careful, stored


@careful
@given(OBJECT, st.lists(KEYS, min_size=1, max_size=4).map(tuple), JSON)
def test_an_edit_does_what_it_says_and_nothing_else(payload: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    before = copy.deepcopy(payload)
    put, removed = with_value(payload, keys, value), without(payload, keys)
    assert payload == before
    assert read(removed, keys) is ABSENT
    if read(put, keys) is not ABSENT:
        assert read(put, keys) == value
    assert without(removed, keys) is removed
    assert with_value(put, keys, value) == put


@careful
@given(CONDITIONS, MESSAGES)
def test_a_type_or_name_that_is_ruled_out_never_matches(condition: str, message: dict[str, Any]) -> None:
    event, names = stored(message), filter_names(condition)
    if event.type not in filter_types(condition) or (event.type == "track" and names is not None and event.name not in names):
        assert not compile_filter(condition)(event)


@careful
@given(
    st.sampled_from(['type != "page"', 'type in ["track", "page"]', '!(type = "page")', 'event in ["A"] and type = "track"', "all", "properties.a"]),
    MESSAGES,
)
def test_a_trigger_never_matches_a_type_that_it_says_it_cannot(trigger: str, message: dict[str, Any]) -> None:
    event = stored(message)
    if event.type not in possible_types(trigger):
        assert not compile_trigger(trigger)(event)
