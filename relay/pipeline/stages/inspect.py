"""The source's schema settings and its tracking plan: what is blocked, what is left out, which violations are told (semantics page 2).

Order: names that the schema blocks, the rule of the event (standard controls), the rule for all events (COMMON) on what survived that. An event
that another source has forwarded was judged there and passes, so nothing is blocked twice and no violation makes another.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from relay.base.codes import Door
from relay.base.event import FORWARDED_FROM, Event, changed
from relay.kit.json_schema import Keys
from relay.kit.violations import Violation, path_text
from relay.pipeline.decision import Drop
from relay.pipeline.derived import Forwarding
from relay.pipeline.rulebook import NOTHING, Rule, RuleBook
from relay.workspace.model import Source
from relay.workspace.rules import TypeSettings

STAGE: Final = "schema"
EVENT_SETTING: Final = Drop(STAGE, "event_setting", Door.BLOCKED)
UNPLANNED: Final = Drop(STAGE, "unplanned", Door.BLOCKED)
VIOLATION: Final = Drop(STAGE, "schema_violation", Door.BLOCKED)
BOTH: Final = Drop(STAGE, "unplanned_and_schema_violation", Door.BLOCKED)
COMMON: Final = Drop(STAGE, "common_schema_violation", Door.BLOCKED)
FAILED: Final = Drop(STAGE, "INTERNAL", Door.BLOCKED)
TOLD_MAX: Final = 50
"""Violations of one event that are written into it; omitted or blocked is what any of them is about."""


class Inspected(NamedTuple):
    """What the schema and the plan make of an event."""

    event: Event
    drop: Drop | None = None
    derived: tuple[Event, ...] = ()
    """Violations and the blocked event, for the sources that hear of them."""
    violations: tuple[Violation, ...] = ()
    is_unplanned: bool = False
    omitted: tuple[str, ...] = ()
    """Of an event that is blocked: paths that would not have passed either."""


Inspect = Callable[[Event], Inspected]


@dataclass(frozen=True, slots=True)
class _Control:
    """What a source does with one type of call."""

    settings: TypeSettings
    section: str
    """`properties` or `traits`."""
    blocked: frozenset[str] = frozenset()
    """Names in the section that the schema blocks."""


@dataclass(slots=True)
class _Findings:
    """What was found in one event so far; `payload` is what is left of its message."""

    payload: Mapping[str, Any]
    violations: list[Violation] = field(default_factory=list)
    omitted: list[str] = field(default_factory=list)
    omitted_on_violation: list[str] = field(default_factory=list)

    def omit(self, paths: Iterable[Keys], names: list[str]) -> None:
        for keys in paths:
            payload = _without(self.payload, keys)
            if payload is not self.payload:
                self.payload = payload
                names.append(path_text(keys))


def compile_inspection(source: Source, book: RuleBook | None, forwarding: Forwarding | None = None) -> Inspect | None:
    """The inspection of one source; None when everything may pass unseen. `book`: its plan."""
    schema = source.schema
    blocked_events = frozenset(name for name, setting in schema.events.items() if not setting.enabled)
    blocked = {
        "identify": frozenset(name for name, is_allowed in schema.traits.items() if not is_allowed),
        "group": frozenset(name for name, is_allowed in schema.group_traits.items() if not is_allowed),
    }
    if book is None and not blocked_events and not any(blocked.values()):
        return None
    forwarding = forwarding or Forwarding(source)
    controls = {
        "track": _Control(schema.track, "properties"),
        "identify": _Control(schema.identify, "traits", blocked["identify"]),
        "group": _Control(schema.group, "traits", blocked["group"]),
    }
    lenient = _Control(TypeSettings(), "properties")
    """Pages, screens and aliases: violations are told, nothing is stopped."""
    common = book.common if book is not None else None

    def judge(event: Event) -> Inspected:
        payload, kind = event.payload, event.type
        if forwarding.feeders and payload.get(FORWARDED_FROM) in forwarding.feeders:
            return Inspected(event)
        is_track = kind == "track"
        if is_track and event.name in blocked_events:
            return Inspected(event, EVENT_SETTING, forwarding.blocked(event))
        control = controls.get(kind, lenient)
        rule = book.find(event) if book is not None else None
        is_unplanned = is_track and rule is None and book is not None
        if _keeps_all(control, rule, payload, has_plan=book is not None) and (rule is None or rule.is_valid(payload)):
            if is_unplanned and not control.settings.allow_unplanned_events:
                return Inspected(event, UNPLANNED, forwarding.blocked(event), (), True)
            if common is None or common.is_valid(payload):
                return Inspected(event, is_unplanned=is_unplanned)
        found = _Findings(payload)
        drop = _standard(found, control, rule, is_track=is_track, has_plan=book is not None) or _common(found, control, common)
        return _result(event, found, drop, forwarding, rule, is_unplanned=is_unplanned)

    def inspect(event: Event) -> Inspected:
        try:
            return judge(event)
        except Exception:  # fence: an event that cannot be judged must not pass
            return Inspected(event, FAILED)

    return inspect


def _keeps_all(control: _Control, rule: Rule | None, payload: Mapping[str, Any], *, has_plan: bool) -> bool:
    """Whether no name has to go, as far as one look tells."""
    if control.blocked and not control.blocked.isdisjoint(_names_in(payload, control.section)):
        return False
    if not has_plan or control.settings.allow_unplanned_properties:
        return True
    return (rule.names if rule is not None else NOTHING).cover(payload.get(control.section))


def _standard(found: _Findings, control: _Control, rule: Rule | None, *, is_track: bool, has_plan: bool) -> Drop | None:
    """The names that the schema blocks, then the event's own rule."""
    settings, section = control.settings, control.section
    found.omit([(section, name) for name in _names_in(found.payload, section) if name in control.blocked], found.omitted)
    if not has_plan:
        return None
    if rule is None and is_track and not settings.allow_unplanned_events:
        return UNPLANNED
    if not settings.allow_unplanned_properties:
        names = rule.names if rule is not None else NOTHING
        found.omit(list(names.unplanned(found.payload.get(section), (section,))), found.omitted)
    if rule is None or rule.is_valid(found.payload):
        return None
    violations = rule.violations(found.payload)
    found.violations += violations
    if not settings.allow_event_on_violations:
        return BOTH if found.omitted else VIOLATION
    if not settings.allow_properties_on_violations:
        found.omit(_offending(violations), found.omitted_on_violation)
    return None


def _common(found: _Findings, control: _Control, common: Rule | None) -> Drop | None:
    """The rule for all events, on what the first ones left."""
    if common is None or common.is_valid(found.payload):
        return None
    violations = common.violations(found.payload)
    found.violations += [one for one in violations if one not in found.violations]
    if control.settings.common_on_violations == "BLOCK":
        return COMMON
    if control.settings.common_on_violations == "OMIT":
        found.omit(_offending(violations), found.omitted_on_violation)
    return None


def _result(event: Event, found: _Findings, drop: Drop | None, forwarding: Forwarding, rule: Rule | None, *, is_unplanned: bool) -> Inspected:
    violations = tuple(found.violations)
    told = violations[:TOLD_MAX]
    if drop is None and not told and found.payload is event.payload:
        return Inspected(event, is_unplanned=is_unplanned)
    derived = forwarding.violations(event, told)
    if drop is not None:
        noted = changed(event, _noted(event.payload, forwarding.source, _Findings(event.payload), told)) if told else event
        return Inspected(noted, drop, (*derived, *forwarding.blocked(noted)), violations, is_unplanned, tuple(found.omitted))
    noted = changed(event, _noted(found.payload, forwarding.source, found, told))
    return Inspected(noted, None, derived, violations, is_unplanned)


def _noted(payload: Mapping[str, Any], source: Source, found: _Findings, told: tuple[Violation, ...]) -> Mapping[str, Any]:
    """The message with `context.protocols`; what an app has put there (its event_version) stays."""
    context = payload.get("context")
    context = context if isinstance(context, Mapping) else {}
    protocols = context.get("protocols")
    said = {
        "sourceId": source.source_id,
        "omitted": found.omitted,
        "omitted_on_violation": found.omitted_on_violation,
        "violations": [{"type": one.type, "field": one.field, "description": one.description} for one in told],
    }
    return {**payload, "context": {**context, "protocols": {**(protocols if isinstance(protocols, Mapping) else {}), **said}}}


def _offending(violations: Iterable[Violation]) -> list[Keys]:
    """The properties and traits that break a rule. An item of a list cannot go without moving the others: the list goes."""
    found: dict[Keys, None] = {}
    for one in violations:
        keys = one.keys
        while keys and isinstance(keys[-1], int):
            keys = keys[:-1]
        if len(keys) > 1 and keys[0] in ("properties", "traits"):
            found.setdefault(keys)
    return list(found)


def _names_in(payload: Mapping[str, Any], section: str) -> Iterable[str]:
    value = payload.get(section)
    return value if isinstance(value, Mapping) else ()


def _without(value: Any, keys: Keys) -> Any:
    """A copy of `value` less what is at `keys`; itself when nothing is there."""
    key, rest = keys[0], keys[1:]
    if isinstance(value, dict):
        if key not in value:
            return value
        if not rest:
            return {name: item for name, item in value.items() if name != key}
        inner = _without(value[key], rest)
        return value if inner is value[key] else {**value, key: inner}
    if isinstance(value, list) and isinstance(key, int) and key < len(value) and rest:
        inner = _without(value[key], rest)
        return value if inner is value[key] else [*value[:key], inner, *value[key + 1 :]]
    return value
