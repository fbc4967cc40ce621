"""Transformations: what is refused, what each kind does, what is read from where, and how they are explained."""

import base64
import copy
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from relay.base.codes import Door
from relay.base.event import Event
from relay.destinations import load_catalog
from relay.pipeline.compiled import compile_workspace
from relay.pipeline.decision import Drop
from relay.pipeline.explain import explain_source
from relay.pipeline.source_side import source_side
from relay.pipeline.stages.transform import compile_transformations
from relay.workspace.digest import document
from relay.workspace.rules import Transformation
from tests.support.rules import event, mistakes, workspace_of

ALL = {"if": "all"}
DROP = {"if": "all", "drop": True}


def transformations(folder: Path, *given: dict[str, Any]) -> tuple[Transformation, ...]:
    return workspace_of(folder, source_has={"transformation": list(given)}).sources[0].transformations


def applied(folder: Path, given: Event, *rules: dict[str, Any]) -> Any:
    """The payload after the transformations, or the Drop; what was given must be as it was."""
    step = compile_transformations(transformations(folder, *(ALL | rule if "if" not in rule else rule for rule in rules)))
    assert step is not None
    before = copy.deepcopy(given.payload)
    made = step(given)
    assert given.payload == before
    return made if isinstance(made, Drop) else made.payload


def rename(old: str, new: str) -> dict[str, Any]:
    return {"propertyRenames": [{"oldName": old, "newName": new}]}


def setting(value: Any, *paths: str) -> dict[str, Any]:
    return {"propertyValueTransformations": [{"propertyPaths": list(paths), "propertyValue": value}]}


def formula(name: str, fql: str) -> dict[str, Any]:
    return {"fqlDefinedProperties": [{"fql": fql, "propertyName": name}]}


def hashing(*paths: str, **options: str) -> dict[str, Any]:
    return {"hashPropertiesConfiguration": {"paths": list(paths)} | options}


# --- what is refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message", "remedy"),
    [
        ({"drop": True}, "a transformation needs an if", "add if"),
        ({"if": "event =", "drop": True}, "filter, character 8", ""),
        (ALL, "needs something to do", "newEventName"),
        (DROP | {"newEventName": "A"}, "its other changes are never made", "remove"),
        ({"if": "type = 'page'", "newEventName": "A"}, "only a track has an event name", "remove it"),
        ({"if": "type in ['page', 'screen'] and event = 'A'", "newEventName": "A"}, "only a track has an event name", ""),
        (ALL | rename("userId.a", "properties.b"), "'userId.a' must begin with properties or traits", "properties.userId.a"),
        (ALL | rename("context.a", "properties.b"), "'context.a' must begin with", ""),
        (ALL | rename("properties.a.b.c.d.e", "properties.b"), "'properties.a.b.c.d.e' is too deep", "4 levels"),
        (ALL | rename("properties.rows.$.a", "properties.b"), "by '$'", "leave '$' out"),
        (ALL | rename("properties..a", "properties.b"), "'properties..a' is no path", "single dots"),
        (ALL | rename("properties", "traits.b"), "names nothing within", "the field"),
        (ALL | rename("properties.a", "properties.a"), "old and new name are the same", ""),
        (ALL | {"propertyRenames": [{"oldName": "a"}]}, "it needs newName", "add newName"),
        (ALL | {"propertyRenames": {"oldName": "a"}}, "'propertyRenames' must be a list of tables", ""),
        (ALL | setting("x", "type"), "'type' cannot be set", "properties.type"),
        (ALL | setting("x", "messageId"), "'messageId' cannot be set", ""),
        (ALL | setting("x", "version"), "'version' cannot be set", ""),
        (ALL | setting("x", "receivedAt"), "'receivedAt' cannot be set", ""),
        (ALL | setting(5, "userId"), "'userId' is a text", "string"),
        (ALL | setting("x"), "it needs propertyPaths", ""),
        (ALL | setting("x", *(f"p{number}" for number in range(11))), "'propertyPaths' must be at most 10 paths", "repeat"),
        (ALL | {"propertyValueTransformations": [{"propertyPaths": ["a"]}]}, "it needs a propertyValue", ""),
        (ALL | {"propertyValueTransformations": [{"propertyPaths": [f"p{n}"], "propertyValue": 1} for n in range(11)]}, "at most 10 values", ""),
        (ALL | formula("x", "lowercas(event)"), '"lowercas" is no function', "lowercase"),
        (ALL | formula("x", ""), "it needs fql", "lowercase("),
        (ALL | formula("userId.x", "event"), "must begin with properties, traits or context", ""),
        (ALL | {"fqlDefinedProperties": [{"fql": "event", "propertyName": name} for name in "ab"]}, "at most one FQL-defined property", "two"),
        (ALL | rename("a", "b") | formula("c", "event"), "do not go together", "two transformations"),
        (ALL | {"allowProperties": ["context.ip"]}, "'context.ip' must begin with properties or traits", ""),
        (ALL | hashing(), "it needs paths", "traits.email"),
        (ALL | hashing("a", algorithm="SHA-256"), "'algorithm' must be", "did you mean 'SHA256'"),
        (ALL | hashing("a", encoding="hex"), "'encoding' must be", "did you mean 'HEX'"),
        (ALL | hashing("a", key=""), "'key' is empty", "plain hash"),
        (ALL | hashing("a", key="${EMPTY}"), "'key' is empty", ""),
        (ALL | hashing("userId"), "'userId' is an id of the message", "properties.userId"),
        (DROP | {"destinationMetadataId": "547610a5db31d978f14a5c4e"}, "it belongs to one destination", "[[destination.transformation]]"),
        (ALL | {"newEventNam": "A"}, "unknown key 'newEventNam'", "newEventName"),
    ],
)  # fmt: skip
def test_a_wrong_transformation_is_refused_with_place_and_remedy(given: dict[str, Any], message: str, remedy: str, tmp_path: Path) -> None:
    told = mistakes(tmp_path, source_has={"transformation": [given]})
    found = next((one for one in told if message in one.partition(" | ")[0]), "")
    assert found, told
    assert len(told) == 1 or message.startswith("unknown"), told
    assert found.startswith('5: source "web", transformation 1')
    assert remedy in found.partition(" | ")[2]


@pytest.mark.parametrize(
    ("given", "how"),
    [
        (setting(1, "properties.a", "properties.a"), "'properties.a' is set twice"),
        (setting(1, "properties.a", "a"), "'a' is set twice (as 'properties.a')"),
        (setting(1, "traits.a", "a"), "'a' is set twice (as 'traits.a')"),
        (setting({}, "properties.a", "properties.a.b"), "'properties.a.b' is set twice (as 'properties.a')"),
        (setting("x", "event") | {"newEventName": "B"}, "'event' is set twice"),
        (setting(1, "properties.b") | rename("properties.a", "properties.b"), "'properties.b' is set twice"),
        (setting(1, "properties.a") | rename("properties.a", "properties.b"), "'properties.a' is set and renamed"),
        (setting(1, "properties.a.x") | rename("properties.a", "properties.b"), "'properties.a.x' is set and renamed (as 'properties.a')"),
        (setting(1, "properties.a") | formula("a", "event"), "'a' is set twice (as 'properties.a')"),
        (setting(1, "properties.a") | hashing("properties.a"), "'properties.a' is set twice"),
        (rename("properties.a", "properties.b") | hashing("properties.a"), "'properties.a' is set and renamed"),
        ({"propertyRenames": [{"oldName": "a", "newName": "b"}, {"oldName": "a", "newName": "c"}]}, "'a' is renamed twice"),
        ({"propertyRenames": [{"oldName": "a", "newName": "c"}, {"oldName": "b", "newName": "c"}]}, "'c' is set twice"),
    ],
)  # fmt: skip
def test_a_path_is_changed_once(given: dict[str, Any], how: str, tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, source_has={"transformation": [ALL | given]})
    assert how in told


def test_two_that_are_for_the_same_events_are_refused_unless_one_is_off(tmp_path: Path) -> None:
    first, second = {"if": "event = 'A'", "drop": True}, {"if": 'event == "A"', "newEventName": "B"}
    (told,) = mistakes(tmp_path, source_has={"transformation": [first, second]})
    assert 'source "web", transformation 2: transformation 1 has the same if' in told
    assert mistakes(tmp_path, source_has={"transformation": [first, second | {"enabled": False}]}) == []
    assert mistakes(tmp_path, source_has={"transformation": [first, second | {"if": "event = 'a'"}]}) == []
    (told,) = mistakes(tmp_path, destination={"transformation": [first, first]})
    assert 'destination "hook", transformation 2' in told


def test_an_export_of_the_public_api_pastes_in(tmp_path: Path) -> None:
    exported = {
        "id": "tr_1", "name": "Names", "sourceId": "s", "destinationMetadataId": "547610a5db31d978f14a5c4e", "enabled": True, "if": "event='A'",
        "newEventName": "B", "propertyRenames": [], "propertyValueTransformations": [], "createdAt": "2026-01-01T00:00:00Z", "drop": False,
    }  # fmt: skip
    (made,) = workspace_of(tmp_path, destination={"transformation": [exported]}).destinations[0].transformations
    assert (made.name, made.condition, made.new_event_name) == ("Names", "event='A'", "B")


def test_the_key_of_a_hash_is_never_written_out(tmp_path: Path) -> None:
    workspace = workspace_of(tmp_path, source_has={"transformation": [ALL | hashing("a", key="hunter2-${KEY}")]})
    assert "hunter2" not in f"{workspace} {document(workspace)}"


# --- what they do ------------------------------------------------------------------------------------------------------------


def test_an_event_that_no_transformation_changes_is_the_same_object(tmp_path: Path) -> None:
    given = event()
    rules = [
        {"if": "event = 'Other'", "drop": True},
        ALL | rename("missing", "b") | setting(5, "properties.total") | {"allowProperties": ["total", "code"]},
    ]
    step = compile_transformations(transformations(tmp_path, *rules))
    assert step is not None
    assert step(given) is given
    assert compile_transformations(transformations(tmp_path, DROP | {"enabled": False})) is None


def test_only_a_track_gets_a_new_name(tmp_path: Path) -> None:
    assert applied(tmp_path, event(), {"newEventName": "Paid"})["event"] == "Paid"
    assert applied(tmp_path, event("page", name="Home"), {"newEventName": "Paid"}) == {
        "type": "page",
        "messageId": "m1",
        "userId": "u1",
        "name": "Home",
    }


@pytest.mark.parametrize(
    ("kind", "home"), [("track", "properties"), ("page", "properties"), ("screen", "properties"), ("identify", "traits"), ("group", "traits")]
)
def test_a_bare_name_lies_in_properties_or_traits(kind: str, home: str, tmp_path: Path) -> None:
    given = event(kind, **{home: {"a": 1, "b": 2, "c": "X"}})
    assert applied(tmp_path, given, rename("a", "z"))[home] == {"b": 2, "c": "X", "z": 1}
    assert applied(tmp_path, given, setting("n", "new", "userId"))[home] == {"a": 1, "b": 2, "c": "X", "new": "n"}
    assert applied(tmp_path, given, setting("n", "new", "userId"))["userId"] == "n"
    assert applied(tmp_path, given, formula("low", f"lowercase({home}.c)"))[home]["low"] == "x"
    assert applied(tmp_path, given, {"allowProperties": ["b"]})[home] == {"b": 2}
    assert applied(tmp_path, given, hashing("c", algorithm="MD5"))[home]["c"] == hashlib.md5(b"X").hexdigest()


def test_names_may_change_places_and_move_in_and_out(tmp_path: Path) -> None:
    given = event(properties={"a": 1, "b": 2, "o": {"x": 3}})
    swap = {"propertyRenames": [{"oldName": "a", "newName": "b"}, {"oldName": "b", "newName": "a"}]}
    assert applied(tmp_path, given, swap)["properties"] == {"b": 1, "a": 2, "o": {"x": 3}}
    assert applied(tmp_path, given, rename("properties.a", "properties.o.a"))["properties"] == {"b": 2, "o": {"x": 3, "a": 1}}
    assert applied(tmp_path, given, rename("properties.a", "properties.new.a"))["properties"] == {"b": 2, "o": {"x": 3}, "new": {"a": 1}}
    assert applied(tmp_path, given, rename("properties.o.x", "traits.x"))["traits"] == {"x": 3}


def test_everything_is_read_from_the_message_as_it_was(tmp_path: Path) -> None:
    given = event(properties={"code": "ABC", "email": "E"})
    made = applied(tmp_path, given, setting("set", "properties.code") | formula("copy", "lowercase(properties.code)"))
    assert made["properties"] == {"code": "set", "email": "E", "copy": "abc"}


def test_one_transformation_does_not_call_for_another(tmp_path: Path) -> None:
    made = applied(tmp_path, event(), {"if": "event = 'Order Completed'", "newEventName": "Paid"}, {"if": "event = 'Paid'", "drop": True})
    assert made["event"] == "Paid"


def test_those_that_hold_are_applied_in_their_order(tmp_path: Path) -> None:
    one = {"if": "type = 'track'"} | rename("total", "revenue")
    two = {"if": "event = 'Order Completed'"} | formula("copy", "properties.revenue")
    assert applied(tmp_path, event(), one, two)["properties"] == {"code": "X-1", "revenue": 5, "copy": 5}


def test_a_formula_without_a_value_sets_nothing(tmp_path: Path) -> None:
    assert "x" not in applied(tmp_path, event(), formula("x", "lowercase(properties.missing)"))["properties"]
    assert applied(tmp_path, event(), formula("x", "properties.total > 3"))["properties"]["x"] is True


def test_an_allow_list_names_what_stays_by_its_old_or_new_name(tmp_path: Path) -> None:
    given = event(properties={"a": 1, "b": {"c": 2, "d": 3}, "rows": [{"x": 1, "y": 2}, 5], "e.f": 4}, traits={"t": 1}, context={"ip": "1"})
    allow = {"allowProperties": ["properties.b.c", "properties.rows.x", r"properties.e\.f"]}
    made = applied(tmp_path, given, allow)
    assert (made["properties"], made["traits"], made["context"]) == ({"b": {"c": 2}, "rows": [{"x": 1}], "e.f": 4}, {}, {"ip": "1"})
    for allowed in ("a", "z"):
        assert applied(tmp_path, given, {"allowProperties": [allowed]} | rename("a", "z"))["properties"] == {"z": 1}
    assert applied(tmp_path, given, {"allowProperties": ["b"]} | rename("a", "z"))["properties"] == {"b": {"c": 2, "d": 3}}
    assert applied(tmp_path, given, {"allowProperties": []} | setting(7, "new"))["properties"] == {"new": 7}


@pytest.mark.parametrize(
    ("value", "data"),
    [("größe", "größe"), (12, "12"), (12.0, "12"), (1.5, "1.5"), (True, "true"), ({"a": [1]}, '{"a":[1]}'), (["a"], '["a"]'), ("", "")],
)
def test_a_hash_is_over_the_bytes_of_the_text(value: Any, data: str, tmp_path: Path) -> None:
    given, raw = event(properties={"v": value}), data.encode()
    assert applied(tmp_path, given, hashing("v"))["properties"]["v"] == hashlib.sha256(raw).hexdigest()
    assert (
        applied(tmp_path, given, hashing("v", algorithm="SHA512", encoding="BASE64"))["properties"]["v"]
        == base64.b64encode(hashlib.sha512(raw).digest()).decode()
    )
    assert applied(tmp_path, given, hashing("v", algorithm="SHA1", key="${KEY}"))["properties"]["v"] == hmac.digest(b"k", raw, "sha1").hex()


def test_null_and_what_is_missing_are_not_hashed(tmp_path: Path) -> None:
    given = event(properties={"v": None, "rows": [{"e": "x"}, {"f": 1}]})
    made = applied(tmp_path, given, hashing("v", "w", "properties.rows.e"))["properties"]
    assert made == {"v": None, "rows": [{"e": hashlib.sha256(b"x").hexdigest()}, {"f": 1}]}


# --- where they stand --------------------------------------------------------------------------------------------------------


def test_what_a_source_drops_is_blocked_and_the_explanation_names_the_rule(tmp_path: Path) -> None:
    rules = [ALL | setting("x", "new") | {"name": "Mark"}, {"if": "event = 'Order Completed'", "drop": True, "name": "No orders"}]
    compiled = compile_workspace(workspace_of(tmp_path, source_has={"transformation": rules}), load_catalog())
    source = compiled.sources["web"]
    dropped = source_side(1, event(), source)
    assert dropped.drop == Drop("transform", "FILTERED_BY_RULES", Door.BLOCKED)
    (trace,) = explain_source(1, event(), source)[1]
    assert (trace.outcome, trace.code, trace.text) == ("dropped", "FILTERED_BY_RULES", 'transformation 2 "No orders"')
    (trace,) = explain_source(1, event(event="Other"), source)[1]
    assert (trace.outcome, trace.text, [one.path for one in trace.changes]) == ("changed", 'transformation 1 "Mark"', ["properties.new"])
