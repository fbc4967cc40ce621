"""`[source.schema]`: how strict a source is about its plan, in Segment's words and ours, every mistake with its place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.config.reading import TableReader, nearest
from relay.config.tree import Tree
from relay.errors import Problem
from relay.workspace.model import Source
from relay.workspace.rules import EventSetting, SchemaSettings, TypeSettings

_COMMON: Final = ("ALLOW", "BLOCK", "OMIT_PROPERTIES", "OMIT_TRAITS")
_FORWARDING: Final = ("forwardingViolationsTo", "forwardingBlockedEventsTo")


@dataclass(frozen=True, slots=True)
class Known:
    """The slugs that a source may name, and where what is odd about it is noted."""

    plans: Sequence[str]
    sources: Sequence[str]
    destinations: Sequence[str]
    warnings: list[Problem]


def read_schema(reader: TableReader, known: Known) -> tuple[str, SchemaSettings]:
    """Slug of a source's plan, and its `schema` table."""
    plan: str = reader.take("plan", "string", "")
    if plan and plan not in known.plans:
        reader.complain(f"unknown plan '{plan}'", "plan", nearest(plan, known.plans) or "add a [[plan]] with this slug")
    table = reader.take("schema", "object", {})
    inner = TableReader(reader.tree, reader.at("schema"), f"{reader.label}, schema", reader.problems, table)
    schema = SchemaSettings(
        track=_type_settings(inner, "track", "EventProperties", "Properties"),
        identify=_type_settings(inner, "identify", "Traits", "Traits"),
        group=_type_settings(inner, "group", "Traits", "Traits"),
        violations_to=_target(inner, _FORWARDING[0], reader, known.sources),
        blocked_to=_target(inner, _FORWARDING[1], reader, known.sources),
        events=_events(inner, known.destinations),
        traits=_switches(inner, "traits"),
        group_traits=_switches(inner, "group_traits"),
        enforce_destinations=inner.take("enforce_destinations", "boolean", False),
    )
    inner.finish()
    needless = [key for key in ("track", "identify", "group", _FORWARDING[0], "enforce_destinations") if key in table]
    if needless and not plan:
        place = reader.tree.place(inner.at(needless[0]))
        known.warnings.append(Problem(f"{inner.label}: '{needless[0]}' does nothing without a plan", place, 'add plan = "..." to the source'))
    return plan, schema


def check_forwarding(tree: Tree, sources: Sequence[Source], problems: list[Problem]) -> None:
    """Events that a source forwards must come to rest: no circle of forwarding sources."""
    targets = {
        one.slug: {key: to for key, to in zip(_FORWARDING, (one.schema.violations_to, one.schema.blocked_to), strict=True) if to} for one in sources
    }
    for index, one in enumerate(sources):
        for key, to in targets[one.slug].items():
            if one.slug in _reached(targets, to):
                place = tree.place(f"source[{index}].schema.{key}")
                problems.append(
                    Problem(f'source "{one.slug}", schema: \'{key}\' makes a circle: "{to}" forwards back', place, "forward to a source of its own")
                )


def _reached(targets: Mapping[str, Mapping[str, str]], start: str) -> set[str]:
    """Sources that events come to from `start`, itself left out unless there is a way back to it."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for to in targets.get(waiting.pop(), {}).values():
            if to not in reached:
                reached.add(to)
                waiting.append(to)
    return reached


def _target(inner: TableReader, key: str, source: TableReader, sources: Sequence[str]) -> str:
    slug: str = inner.take(key, "string", "")
    if slug and slug == source.table.get("slug"):
        inner.complain(f"'{key}' names the source itself", key, "forward to another source")
        return ""
    if slug and slug not in sources:
        inner.complain(f"unknown source '{slug}'", key, nearest(slug, sources) or "add a [[source]] with this slug")
        return ""
    return slug


def _type_settings(reader: TableReader, kind: str, unplanned: str, violating: str) -> TypeSettings:
    table: Mapping[str, Any] = reader.take(kind, "object", {})
    inner = TableReader(reader.tree, reader.at(kind), f"{reader.label}.{kind}", reader.problems, table)
    is_track = kind == "track"
    settings = TypeSettings(
        allow_unplanned_events=inner.take("allowUnplannedEvents", "boolean", True) if is_track else True,
        allow_unplanned_properties=inner.take(f"allowUnplanned{unplanned}", "boolean", True),
        allow_event_on_violations=inner.take("allowEventOnViolations", "boolean", True) if is_track else True,
        allow_properties_on_violations=inner.take(f"allow{violating}OnViolations", "boolean", True),
        common_on_violations=_common(inner),
    )
    inner.finish()
    return settings


def _common(reader: TableReader) -> str:
    """`OMIT_PROPERTIES` and `OMIT_TRAITS` mean the same, in any case of letters."""
    key = "commonEventOnViolations"
    given = str(reader.take(key, "string", "ALLOW"))
    if given.upper() not in _COMMON:
        reader.complain(f"'{key}' must be " + ", ".join(f'"{one}"' for one in _COMMON), key, nearest(given, _COMMON))
        return "ALLOW"
    return "OMIT" if given.upper().startswith("OMIT") else given.upper()


def _events(reader: TableReader, destinations: Sequence[str]) -> dict[str, EventSetting]:
    """`events."Order Completed" = { enabled = false, integrations = { ga4 = false } }`."""
    found = {}
    for name, inner in _tables(reader, "events"):
        enabled, integrations = inner.take("enabled", "boolean", True), _switches(inner, "integrations")
        inner.finish()
        for slug in integrations:
            if slug not in destinations:
                there = TableReader(inner.tree, inner.at("integrations"), inner.label, inner.problems, integrations)
                there.complain(f"unknown destination '{slug}'", slug, nearest(slug, destinations) or "write the slug of a destination")
        found[name] = EventSetting(enabled, integrations)
    return found


def _tables(reader: TableReader, key: str) -> list[tuple[str, TableReader]]:
    outer = TableReader(reader.tree, reader.at(key), f"{reader.label}.{key}", reader.problems, reader.take(key, "object", {}))
    return [
        (name, TableReader(reader.tree, outer.at(name), f'{outer.label}."{name}"', reader.problems, outer.take(name, "object", {})))
        for name in outer.table
    ]


def _switches(reader: TableReader, key: str) -> dict[str, bool]:
    """Name to true or false."""
    inner = TableReader(reader.tree, reader.at(key), f"{reader.label}.{key}", reader.problems, reader.take(key, "object", {}))
    return {name: inner.take(name, "boolean", True) for name in inner.table}
