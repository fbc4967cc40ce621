"""The rules of a source or destination as a file would have them: for people who read them, and who try a change of one. Pure."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from relay.base.secret import MASK
from relay.errors import Place
from relay.workspace.model import Destination, Source
from relay.workspace.rules import Filter, FilterAction, PrivacyRules, Transformation

Told = dict[str, Any]


def source_rules(source: Source) -> Told:
    """`{transformations, privacy}`."""
    return {"transformations": _numbered(source.transformations, _transformation), "privacy": _privacy(source.privacy)}


def destination_rules(destination: Destination) -> Told:
    """`{filters, transformations, privacy, consent_categories, sync_exclude}`."""
    return {
        "filters": _numbered(destination.filters, _filter),
        "transformations": _numbered(destination.transformations, _transformation),
        "privacy": _privacy(destination.privacy),
        "consent_categories": list(destination.consent_categories),
        "sync_exclude": list(destination.sync_exclude),
    }


def place_row(place: Place | None) -> Told | None:
    """Where it stands, as JSON has it."""
    return {"file": place.file, "line": place.line} if place else None


def _numbered(rules: Sequence[Any], told: Any) -> list[Told]:
    """Each as `{id, rule, place}`; `id` counts from 0 in the order of the file, `rule` has its keys."""
    return [{"id": str(number), "rule": told(one), "place": place_row(one.place)} for number, one in enumerate(rules)]


def _filter(one: Filter) -> Told:
    return _said({"title": one.title, "if": one.condition, "actions": [_action(action) for action in one.actions]}, one.enabled)


def _action(action: FilterAction) -> Told:
    told: Told = {"type": action.type}
    if action.type == "SAMPLE":
        told["percent"] = action.percent
    if action.path:
        told["path"] = action.path
    if action.fields:
        told["fields"] = {path: list(keys) for path, keys in action.fields.items()}
    return told


def _transformation(one: Transformation) -> Told:
    """A hash key is shown as dots."""
    told: Told = {"name": one.name, "if": one.condition, "drop": one.drop, "newEventName": one.new_event_name}
    told["propertyRenames"] = [{"oldName": old, "newName": new} for old, new in one.renames]
    told["propertyValueTransformations"] = [
        {"propertyPaths": [path for path, _ in group], "propertyValue": value} for value, group in _by_value(one.values)
    ]
    told["fqlDefinedProperties"] = [{"fql": fql, "propertyName": path} for path, fql in one.formulas]
    told["allowProperties"] = None if one.allow is None else list(one.allow)
    if one.hashing:
        table: Told = {"algorithm": one.hashing.algorithm, "encoding": one.hashing.encoding, "paths": list(one.hashing.paths)}
        told["hashPropertiesConfiguration"] = table | ({"key": MASK} if one.hashing.key else {})
    allow: Told = {"allowProperties": []} if one.allow == () else {}
    return _said(told, one.enabled) | allow


def _by_value(values: Sequence[tuple[str, Any]]) -> list[tuple[Any, list[tuple[str, Any]]]]:
    """Neighbours with the same value together, as they stand in one table."""
    grouped = groupby(values, key=lambda one: (type(one[1]).__name__, repr(one[1])))
    return [(found[0][1], found) for found in (list(group) for _, group in grouped)]


def _said(told: Told, enabled: bool) -> Told:
    """Without what says nothing; `enabled` only when it is off."""
    return {key: value for key, value in told.items() if value not in ("", False, None, [])} | ({} if enabled else {"enabled": False})


def _privacy(rules: PrivacyRules) -> list[Told]:
    return [{"how": how, "entry": entry} for how, entry in rules.entries]
