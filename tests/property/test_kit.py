"""The kit never fails by a bug: whatever the mapping, the fields and the event, there is a value or one of its two errors."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.errors import ConfigError, PayloadError
from relay.kit import coerce_fields, match_filter, match_trigger, resolve_mapping

NAMES = st.sampled_from(["a", "b", "0", "length", "event", ""])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "a", "{{a}}", "5", "2026-01-10", "é\ud800"])
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
EVENTS = st.dictionaries(NAMES, JSON, max_size=4)
PATHS = st.sampled_from(["$.a", "a.b", "$.", "a[0].b", "a['b']", "b.length", "$", "event.0", "a..b", "$.a.b.0.a"])
TEMPLATES = st.sampled_from(["{{a}}", "x {{a.b}} {{{b}}}", "{{ event }}", "{{}}", "{{{a}}", ""])
LIQUID = st.sampled_from(
    [
        "{{ a | times: 2 }}", "{{ a | divided_by: b | round: a }}", "{{ a | date: '%Y %s %N' }}", "{{ a | slice: 0, b }}", "{{ a | json }}{{ a }}",
        "{% if a > b %}x{% elsif a contains b %}y{% endif %}", "{{ a | split: b | join: a | truncate: b }}", "{{ a | url_decode | base64_decode }}",
        "{% assign x = a | push: b | sum %}{{ x | modulo: 0 }}", "{{ a.b[0].size }}{{ a.first }}{{ b | where: 'a', 5 | size }}",
    ]
)  # fmt: skip


def _deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    case = st.fixed_dictionaries({"operator": st.sampled_from(["lower", "upper"]), "value": inner})
    replace = st.fixed_dictionaries(
        {"pattern": st.sampled_from(["a", "$&", "."]), "value": inner},
        optional={"replacement": st.sampled_from(["", "$&$`", "b"]), "ignorecase": st.booleans(), "global": st.booleans(), "pattern2": st.just("b")},
    )
    choice = st.fixed_dictionaries({}, optional={"exists": inner, "blank": inner, "then": inner, "else": inner})
    merge = st.fixed_dictionaries({"direction": st.sampled_from(["left", "right"]), "objects": st.lists(inner, max_size=3)})
    operands = {
        "@path": PATHS | inner, "@template": TEMPLATES | inner, "@literal": inner, "@if": choice, "@case": case, "@replace": replace,
        "@arrayPath": st.lists(PATHS | inner, max_size=2), "@flatten": st.fixed_dictionaries({"value": inner, "separator": st.just(".")}),
        "@json": st.fixed_dictionaries({"mode": st.sampled_from(["encode", "decode"]), "value": inner}), "@merge": merge,
        "@transform": st.fixed_dictionaries({"apply": inner, "mapping": inner}), "@excludeWhenNull": inner, "@liquid": LIQUID,
    }  # fmt: skip
    directive = st.one_of([operand.map(lambda value, name=name: {name: value}) for name, operand in operands.items()])
    return directive | directive | st.dictionaries(NAMES, inner, max_size=2) | st.lists(inner, max_size=2)


MAPPINGS = st.recursive(st.one_of(PATHS.map(lambda path: {"@path": path}), SCALARS), _deeper, max_leaves=6)
FIELD = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "text", "number", "integer", "boolean", "datetime", "object"])},
    optional={
        "multiple": st.booleans(), "required": st.booleans() | st.just({"conditions": [{"fieldKey": "a", "operator": "is", "value": 5}]}),
        "allowNull": st.booleans(), "format": st.sampled_from(["email", "uri", "date", "date-time", "uuid", "ipv4", "ipv6", "hostname"]),
        "choices": st.lists(SCALARS, max_size=2), "minimum": st.integers(0, 3), "maximum": st.integers(0, 3),
        "properties": st.just({"a": {"type": "number", "required": True}, "b": {"type": "object", "multiple": True, "properties": {"a": {"type": "string"}}}}),
    },
)  # fmt: skip

careful = settings(max_examples=300)


@careful
@given(MAPPINGS, EVENTS)
def test_any_mapping_of_any_event_gives_a_value_or_one_of_two_errors(mapping: Any, event: dict[str, Any]) -> None:
    try:
        resolve_mapping({"field": mapping}, event)
    except (ConfigError, PayloadError):
        return


@careful
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), FIELD, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON))
def test_any_values_are_coerced_or_one_field_is_named(fields: dict[str, Any], values: dict[str, Any]) -> None:
    try:
        assert set(coerce_fields(fields, values)) <= set(fields)
    except ConfigError:
        return
    except PayloadError as error:
        assert error.field.partition(".")[0] in fields


@careful
@given(st.text(alphabet='typeventpropis.=!<>()[]\'", and or in contains match*0123"', max_size=60), EVENTS)
def test_any_condition_is_refused_or_answers_for_any_event(text: str, event: dict[str, Any]) -> None:
    for match in (match_filter, match_trigger):
        try:
            assert isinstance(match(text, event), bool)
        except ConfigError:
            continue


def test_nesting_without_end_is_refused_or_the_events_fault() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"a": deep}
    mappings: list[Any] = [
        {"@flatten": {"value": {"@path": "$."}, "separator": "."}}, {"@json": {"mode": "encode", "value": {"@path": "$."}}},
        {"@excludeWhenNull": {"@path": "$."}}, {"@template": "{{a}}"}, {"@liquid": "{{ a }}"}, deep,
    ]  # fmt: skip
    for mapping in mappings:
        try:
            resolve_mapping({"x": mapping}, deep)
        except (ConfigError, PayloadError):
            continue
        raise AssertionError(f"{mapping} is not refused")
