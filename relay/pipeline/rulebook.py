"""A tracking plan, compiled: which rule an event has, what it plans, where its events may go. One book for all sources of a plan."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from relay.base.event import Event
from relay.errors import ConfigError, Problem
from relay.kit.json_schema import Keys, Schema, compile_schema, name_matcher, views
from relay.kit.violations import Violation, violations_of
from relay.pipeline.decision import Drop
from relay.pipeline.derived import VIEWED
from relay.workspace.rules import Plan, PlanRule

SECTIONS: Final[Mapping[str, str]] = {
    "TRACK": "properties", "PAGE": "properties", "SCREEN": "properties", "IDENTIFY": "traits", "GROUP": "traits", "COMMON": "",
}  # fmt: skip
"""The object of a message whose names a rule plans."""
DEPTH: Final = 8
"""How deep names are looked at: a schema may refer to itself."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names that an object may have."""

    known: Mapping[str, "Names | None"] = field(default_factory=dict)
    """Name to what its own value may have, or None: anything."""
    patterns: tuple[Callable[[Any], bool], ...] = ()
    is_open: bool = False
    """Every name is planned."""
    free: frozenset[str] = frozenset()
    """Known names whose value may have anything."""

    def cover(self, value: Any) -> bool:
        """Whether nothing in `value` is unplanned, as far as one look at its names can tell."""
        return not isinstance(value, dict | list) or (isinstance(value, dict) and value.keys() <= self.free)

    def unplanned(self, value: Any, at: Keys) -> Iterator[Keys]:
        """The paths below `value` that are not planned."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.unplanned(item, (*at, index))
        elif isinstance(value, dict):
            for name, item in value.items():
                inner = self.known.get(name, self)
                if inner is self:
                    if not self.is_open and not any(matches(name) for matches in self.patterns):
                        yield (*at, name)
                elif inner is not None:
                    yield from inner.unplanned(item, (*at, name))


NOTHING: Final = Names()


class Rule:
    """One rule: `is_valid` for every event, `violations` only for those that are not."""

    __slots__ = ("_validator", "destinations", "elsewhere", "is_valid", "names", "rule", "section")

    def __init__(self, rule: PlanRule, plan: Plan) -> None:
        self.rule = rule
        self.section = SECTIONS[rule.type]
        self.names = names_of(rule.schema, self.section) if self.section else NOTHING
        self.destinations = frozenset(rule.destinations)
        self.elsewhere = Drop("plan", "FILTERED_BY_RULES", text=f'{rule.label} of the plan "{plan.slug}" names other destinations')
        self._validator = compile_schema(rule.schema)
        self.is_valid: Callable[[Mapping[str, Any]], bool] = self._validator.is_valid

    def violations(self, payload: Mapping[str, Any]) -> list[Violation]:
        """All of them, in the order of the schema."""
        return violations_of(self._validator.iter_errors(payload))


class RuleBook:
    """The rules of one plan, by what they are about. Raises ConfigError."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.common: Rule | None = None
        self._track: dict[str, tuple[Rule, ...]] = {}
        self._others: dict[str, tuple[Rule, ...]] = {}
        for rule in sorted(plan.rules, key=lambda rule: rule.version):
            try:
                made = Rule(rule, plan)
            except ConfigError as error:
                raise ConfigError([Problem(f'plan "{plan.slug}": {rule.label}: {error.message}', plan.place)]) from error
            if rule.type == "COMMON":
                self.common = self.common or made
            elif rule.type == "TRACK":
                self._track[rule.key] = (*self._track.get(rule.key, ()), made)
            else:
                self._others[rule.type.lower()] = (*self._others.get(rule.type.lower(), ()), made)
        self.restricts = any(rule.destinations for rule in plan.rules)
        """Whether some rule says which destinations need its events."""

    @property
    def event_names(self) -> Iterable[str]:
        """The planned track events."""
        return self._track

    def find(self, event: Event) -> Rule | None:
        """The rule of an event: by type, name and `context.protocols.event_version`; the oldest when the version is missing or unknown."""
        kind = event.type
        rules = self._track.get(event.name) if kind == "track" else self._others.get(kind)
        if rules is None and kind in VIEWED:
            rules = self._track.get(VIEWED[kind])
        if rules is None:
            return None
        if len(rules) == 1:
            return rules[0]
        version = _version_of(event.payload)
        return next((rule for rule in rules if rule.rule.version == version), rules[0])

    def meant_for(self, event: Event) -> Rule | None:
        """The rule that says which destinations need an event: its own, else the one for all; None: none does."""
        rule = self.find(event)
        if rule is not None and rule.destinations:
            return rule
        return self.common if self.common is not None and self.common.destinations else None


def names_of(schema: Schema, section: str) -> Names:
    """What a rule plans in `properties` or `traits`."""
    inner = [part["properties"][section] for part in views(schema, schema) if section in part.get("properties", {})]
    return _names(inner, schema, 0)


def _names(schemas: Iterable[Any], root: Schema, depth: int) -> Names:
    parts = [part for schema in schemas for part in views(schema, root)]
    inner: dict[str, list[Any]] = {}
    for part in parts:
        for name, one in part.get("properties", {}).items():
            inner.setdefault(name, []).append(one)
        for name in part.get("required", ()):
            inner.setdefault(name, [])
    known = {name: _inner_names(ones, root, depth + 1) for name, ones in inner.items()}
    patterns = tuple(name_matcher(pattern).is_valid for part in parts for pattern in part.get("patternProperties", ()))
    is_open = any(part.get("additionalProperties", False) is not False for part in parts)
    return Names(known, patterns, is_open, frozenset(name for name, inner_names in known.items() if inner_names is None))


def _inner_names(schemas: list[Any], root: Schema, depth: int) -> Names | None:
    """What the value of a planned name may have; None where the plan does not say: only an object whose properties are listed is closed."""
    if depth > DEPTH:
        return None
    parts = [part for schema in schemas for part in views(schema, root)]
    items = [part["items"] for part in parts if isinstance(part.get("items"), dict)]
    objects = [part for schema in (*schemas, *items) for part in views(schema, root)]
    if not any(part.get("properties") for part in objects):
        return None
    return _names([*schemas, *items], root, depth)


def _version_of(payload: Mapping[str, Any]) -> Any:
    context = payload.get("context")
    protocols = context.get("protocols") if isinstance(context, Mapping) else None
    return protocols.get("event_version") if isinstance(protocols, Mapping) else None
