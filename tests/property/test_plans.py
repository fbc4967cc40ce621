"""Plans out of any events take these events; tables and files of any plan come back as it was."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.kit.json_schema import compile_schema, mistakes_of
from relay.pipeline.inference import extended, rule_of, with_field
from relay.pipeline.shapes import Traffic
from relay.workspace.plan_files import DRAFT, canonical, diff_plans, differs, to_json
from relay.workspace.plan_sheet import FORMATS, JSON_TYPES, from_csv, losses, to_csv
from tests.support.messages import event

names = st.sampled_from(["a", "b", "total", "price", "email", "odd.name", "products"])
texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from([
        "2026-01-31T10:00:00Z", "2026-01-31 10:00:00+00:00", "20260131T100000Z", "2026-W05-6T10:00:00Z", "a@example.com", "A.b@x.io", "a@localhost",
        "https://example.com/", "mailto:x", "urn:a", "3f0c9a52-7b1e-4f5d-9c1d-000000000000", "urn:uuid:3f0c9a52-7b1e-4f5d-9c1d-000000000000",
    ]),
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), texts)
values = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)), max_leaves=12)
messages = st.lists(st.dictionaries(names, values, max_size=5), min_size=1, max_size=12)


@given(messages)
def test_an_inferred_rule_takes_the_events_that_it_came_from(sent: list[dict[str, Any]]) -> None:
    events = [event(**properties) for properties in sent for _ in range(4)]  # often enough for formats, too few for what is required
    traffic = Traffic()
    for one in events:
        traffic.add(one)
    (shape,) = traffic.events.values()
    rule = rule_of(shape)
    assert mistakes_of(rule["jsonSchema"]) == []
    validator = compile_schema(rule["jsonSchema"])
    assert all(validator.is_valid(one.payload) for one in events)
    plan = {"rules": [rule]}
    assert not differs(diff_plans(plan, extended(plan, [shape])))


@given(messages, messages)
def test_a_rule_that_was_widened_by_every_field_takes_all_events(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    first, second = Traffic(), Traffic()
    for properties in before:
        first.add(event(**properties))
    for properties in after:
        second.add(event(**properties))
    (old,), (new,) = first.events.values(), second.events.values()
    rule = rule_of(old)
    for path, _, _ in list(new.each_field()):
        rule = with_field(rule, new, path)
    assert mistakes_of(rule["jsonSchema"]) == []
    validator = compile_schema(rule["jsonSchema"])
    for properties in (*before, *after):
        assert validator.is_valid(event(**properties).payload), (properties, rule)


keys = st.text(min_size=1, max_size=8).filter(lambda key: key == key.strip() and key != "$")
cells = st.text(max_size=12)
words = st.text(min_size=1, max_size=6).filter(lambda word: word == word.strip() and "|" not in word)


@st.composite
def fields(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    """A schema of what a table can say."""
    schema: dict[str, Any] = {}
    types = draw(st.lists(st.sampled_from(JSON_TYPES), max_size=2, unique=True))
    if types:
        schema["type"] = types[0] if len(types) == 1 else types
    if "string" in types and draw(st.booleans()):
        schema["format"] = draw(st.sampled_from(FORMATS))
    if draw(st.booleans()):
        schema["enum"] = draw(st.lists(scalars, max_size=3))
    schema |= {name: text for name in ("description", "pattern") if (text := draw(cells))}
    if depth < 2:
        inner = draw(st.dictionaries(keys, fields(depth + 1), max_size=2))
        if inner:
            schema["properties"] = inner
            required = sorted(draw(st.sets(st.sampled_from(sorted(inner)))))
            schema |= {"required": required} if required else {}
        elif draw(st.booleans()):
            schema["items"] = draw(fields(depth + 1))
    return schema


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    found = draw(st.dictionaries(words, fields(), max_size=3))
    said = {"x-why": draw(words), "x-owner": draw(words), "x-destinations": draw(st.lists(words, min_size=1, max_size=2))}
    return {
        "rules": [{"type": "TRACK", "key": key, "version": 1, "jsonSchema": {"$schema": DRAFT, **said, **schema}} for key, schema in found.items()]
    }


@settings(max_examples=200)
@given(plans())
def test_a_table_comes_back_as_the_plan_that_it_was(plan: dict[str, Any]) -> None:
    assert losses(plan) == []
    assert from_csv(to_csv(plan), "plan.csv") == canonical(plan)


@given(plans(), st.randoms(use_true_random=False))
def test_a_file_is_the_same_whatever_the_order(plan: dict[str, Any], chance: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = list(value.items())
            chance.shuffle(items)
            return {key: shuffled(item) for key, item in items}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    other = shuffled(plan)
    chance.shuffle(other["rules"])
    assert to_json(other) == to_json(plan)
    assert json.loads(to_json(plan)) == canonical(plan)
    assert canonical(canonical(plan)) == canonical(plan)
    assert not differs(diff_plans(plan, other))
