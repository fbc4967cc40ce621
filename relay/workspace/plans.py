"""`[[plan]]` with its JSON file, and `[source.schema]`: from the tree to rules, every mistake with its place."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from relay.base import jsonio
from relay.config.reading import TableReader, nearest
from relay.config.tree import Tree, label
from relay.errors import Problem
from relay.workspace.rules import EventSetting, Plan, PlanRule, SchemaSettings, TypeSettings

TYPES: Final = ("TRACK", "IDENTIFY", "GROUP", "PAGE", "SCREEN", "COMMON")


def read_plans(tree: Tree, problems: list[Problem]) -> tuple[Plan, ...]:
    """Every `[[plan]]`."""
    tables = tree.data.get("plan", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append(Problem("'plan' must be a list of tables", tree.place("plan"), "write [[plan]]"))
        return ()
    return tuple(_plan(TableReader(tree, f"plan[{index}]", label(tree.data, ("plan", index)), problems, table)) for index, table in enumerate(tables))


def _plan(reader: TableReader) -> Plan:
    slug, file = reader.take("slug", "string", ""), reader.take("file", "string", "")
    name = reader.take("name", "string", slug) or slug
    reader.finish()
    path = Path(reader.tree.place(reader.at("file")).file).parent / file
    content = jsonio.loads(path.read_bytes()) if file and path.is_file() else {"rules": []}
    rules = tuple(PlanRule(rule["type"], rule["jsonSchema"], rule.get("key", ""), rule.get("version", 1)) for rule in content["rules"])
    return Plan(slug, name, rules, str(path), reader.tree.places.get(reader.path))


def read_schema(reader: TableReader, plans: Sequence[Plan], sources: Sequence[str]) -> tuple[str, SchemaSettings]:
    """Slug of a source's plan, and its `schema` table; `sources`: slugs that events may be forwarded to."""
    plan: str = reader.take("plan", "string", "")
    if plan and plan not in [one.slug for one in plans]:
        reader.complain(f"unknown plan '{plan}'", "plan", nearest(plan, [one.slug for one in plans]))
    table = reader.take("schema", "object", {})
    inner = TableReader(reader.tree, reader.at("schema"), f"{reader.label}, schema", reader.problems, table)
    schema = SchemaSettings(
        track=_type_settings(inner, "track", "EventProperties", "Properties"),
        identify=_type_settings(inner, "identify", "Traits", "Traits"),
        group=_type_settings(inner, "group", "Traits", "Traits"),
        violations_to=inner.take("forwardingViolationsTo", "string", ""),
        blocked_to=inner.take("forwardingBlockedEventsTo", "string", ""),
        events={
            name: EventSetting(one.get("enabled", True), one.get("integrations", {})) for name, one in inner.take("events", "object", {}).items()
        },
        traits=inner.take("traits", "object", {}),
        group_traits=inner.take("group_traits", "object", {}),
        enforce_destinations=inner.take("enforce_destinations", "boolean", False),
    )
    inner.finish()
    return plan, schema


def _type_settings(reader: TableReader, kind: str, unplanned: str, violating: str) -> TypeSettings:
    table: Mapping[str, Any] = reader.take(kind, "object", {})
    inner = TableReader(reader.tree, reader.at(kind), f"{reader.label}.{kind}", reader.problems, table)
    common = str(inner.take("commonEventOnViolations", "string", "ALLOW")).upper()
    is_track = kind == "track"
    settings = TypeSettings(
        allow_unplanned_events=inner.take("allowUnplannedEvents", "boolean", True) if is_track else True,
        allow_unplanned_properties=inner.take(f"allowUnplanned{unplanned}", "boolean", True),
        allow_event_on_violations=inner.take("allowEventOnViolations", "boolean", True) if is_track else True,
        allow_properties_on_violations=inner.take(f"allow{violating}OnViolations", "boolean", True),
        common_on_violations="OMIT" if common.startswith("OMIT") else common,
    )
    inner.finish()
    return settings
