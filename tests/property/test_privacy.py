"""Redaction never changes what it is given, finds everything at any depth, and is done when it was done once."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.base import jsonio
from relay.kit.matchers import classify, normal
from relay.pipeline.stages.redact import compile_cover, compile_redaction
from tests.support.privacy import privacy_rules

KEYS = st.sampled_from(["email", "e_mail", "password", "iban", "a", "b", "name", "products", "library", "traits", "x.y", "", "é"])
TEXTS = st.sampled_from(["", "ada@example.com", "4111111111111111", "198.51.100.7", "plain", "•••"]) | st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)
MESSAGES = st.dictionaries(st.sampled_from(["type", "userId", "context", "traits", "properties", "data"]), JSON, max_size=5)
RULES = [
    privacy_rules(block=["red"], mask=["yellow"]),
    privacy_rules(block=["email", "traits.a.b", r"properties.x\.y"], mask=["context.a", "b"]),
    privacy_rules(mask=["properties.a.b", "red"]),
]
STEPS = [step for step in map(compile_redaction, RULES) if step is not None]
COVERS = [cover for cover in map(compile_cover, RULES) if cover is not None]


@given(MESSAGES, st.sampled_from(STEPS))
@settings(max_examples=400)
def test_the_message_stays_and_a_second_time_changes_nothing(message: dict[str, Any], step: Any) -> None:
    before = copy.deepcopy(message)
    result = step(message)
    assert message == before
    assert step(result) is result
    assert (result is message) is (result == message)
    assert {key: value for key, value in result.items() if key not in ("context", "traits", "properties")} == {
        key: value for key, value in message.items() if key not in ("context", "traits", "properties")
    }
    jsonio.dumps(result)


@given(JSON, st.sampled_from([["properties"], ["context", "a"], ["traits", "products"]]))
@settings(max_examples=200)
def test_a_blocked_key_is_found_at_any_depth(value: Any, start: list[str]) -> None:
    inner: Any = {"password": "CANARY", "v": value}
    for key in reversed(start):
        inner = {key: [inner]}
    assert b"CANARY" not in jsonio.dumps(STEPS[0](inner))


@given(JSON | MESSAGES, st.sampled_from(COVERS))
@settings(max_examples=300)
def test_a_refused_message_of_any_shape_can_be_covered(message: Any, cover: Any) -> None:
    before = copy.deepcopy(message)
    covered = cover(message)
    assert message == before
    assert cover(covered) == covered
    jsonio.dumps(covered)


@given(st.text(max_size=40), SCALARS)
@settings(max_examples=300)
def test_any_key_and_value_can_be_classified(key: str, value: Any) -> None:
    found = classify(key, value)
    assert found is None or found.color in ("red", "yellow")
    assert normal(normal(key)) == normal(key)
