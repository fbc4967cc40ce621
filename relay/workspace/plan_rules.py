"""The rules of a tracking plan, from the JSON of its file: every mistake with its place in that text. Pure.

The JSON is `{"rules": [{"type", "key", "jsonSchema", "version"}]}`, a bare list of rules, or what Segment's Public API gives (`data` around it,
further keys in each rule). A rule that is deprecated there is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from relay.base import jsonio
from relay.config.locate import Keys
from relay.config.locate_json import JsonText
from relay.config.reading import nearest
from relay.errors import Place, Problem
from relay.kit.json_schema import mistakes_of
from relay.workspace.rules import PlanRule

TYPES: Final = ("TRACK", "IDENTIFY", "GROUP", "PAGE", "SCREEN", "COMMON")
RULES_MAX: Final = 2_000
"""Segment's limit for customers with large plans (semantics page 2.1)."""
ANNOTATIONS: Final = ("x-why", "x-owner", "x-destinations", "x-ignore")
_UNSET: Final = (None, "", "0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00Z")
_FORM: Final = 'write {"rules": [{"type": "TRACK", "key": "Order Completed", "jsonSchema": {...}, "version": 1}]}'


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. `keys`: where in the content, for an editor; `problem` has the place in the file."""

    keys: Keys
    problem: Problem


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What a plan's text says; `rules` are those that are right. `warnings` stop nothing."""

    rules: tuple[PlanRule, ...]
    mistakes: tuple[Mistake, ...] = ()
    warnings: tuple[Mistake, ...] = ()


def read_rules(file: str, body: bytes, destinations: Sequence[str] | None = None) -> PlanRules:
    """Read and check the content of a plan's file. `destinations`: the slugs that `x-destinations` may name; None: any."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _nothing(Place(file, body[: error.start].count(b"\n") + 1), "is not UTF-8", "save the file as UTF-8")
    located = JsonText(file, text)
    try:
        content = jsonio.loads(text)
    except orjson.JSONDecodeError as error:
        return _nothing(located.at(error.lineno, error.colno), f"is no JSON: {error.msg}", "mend the JSON syntax")
    return _Reading(located, destinations).read(content)


def _nothing(place: Place, message: str, remedy: str) -> PlanRules:
    return PlanRules((), (Mistake((), Problem(message, place, remedy)),))


class _Reading:
    def __init__(self, located: JsonText, destinations: Sequence[str] | None) -> None:
        self.located = located
        self.destinations = destinations
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []

    def read(self, content: Any) -> PlanRules:
        keys, listed = _rules_in(content)
        if not isinstance(listed, list):
            self._complain(keys, "a plan needs a list 'rules'", _FORM)
            return PlanRules((), tuple(self.mistakes))
        if len(listed) > RULES_MAX:
            self._complain((*keys, RULES_MAX), f"a plan has at most {RULES_MAX:,} rules, this one {len(listed):,}", "split it into several plans")
            return PlanRules((), tuple(self.mistakes))
        rules: dict[tuple[str, str, float], tuple[PlanRule, int]] = {}
        for index, given in enumerate(listed):
            rule = self._rule((*keys, index), given)
            if rule is None:
                continue
            _, first = rules.setdefault((rule.type, rule.key, rule.version), (rule, index))
            if first != index:
                place = self.located.place((*keys, first))
                self._complain(
                    (*keys, index), f"{rule.label} stands here a second time", f"the first one is in line {place.line}; change key or version"
                )
        return PlanRules(tuple(rule for rule, _ in rules.values()), tuple(self.mistakes), tuple(self.warnings))

    def _rule(self, at: Keys, given: Any) -> PlanRule | None:
        """None: it is wrong, or deprecated."""
        if not isinstance(given, dict):
            self._complain(at, "a rule must be an object", _FORM)
            return None
        if given.get("deprecatedAt") not in _UNSET:
            return None
        before = len(self.mistakes)
        kind, key, version = self._type(at, given), self._key(at, given), self._version(at, given)
        schema = self._schema(at, given)
        return PlanRule(kind, schema, key, version) if len(self.mistakes) == before else None

    def _type(self, at: Keys, given: Mapping[str, Any]) -> str:
        kind = given.get("type")
        if kind in TYPES:
            return str(kind)
        where = (*at, "type") if "type" in given else at
        said = f"unknown type '{kind}'" if "type" in given else "a rule needs a type"
        self._complain(where, said, nearest(str(kind).upper(), TYPES) or "one of " + ", ".join(TYPES))
        return ""

    def _key(self, at: Keys, given: Mapping[str, Any]) -> str:
        key, kind = given.get("key"), given.get("type")
        if kind == "TRACK" and (not isinstance(key, str) or not key):
            self._complain((*at, "key") if "key" in given else at, "a TRACK rule needs a key: the name of its event", 'add "key": "Order Completed"')
        elif kind != "TRACK" and key not in (None, "") and kind in TYPES:
            self._complain((*at, "key"), f"a rule of type {kind} has no key; only TRACK has one", "remove it")
        return key if isinstance(key, str) else ""

    def _version(self, at: Keys, given: Mapping[str, Any]) -> float:
        version = given.get("version", 1)
        if isinstance(version, bool) or not isinstance(version, int | float) or version < 1:
            self._complain((*at, "version"), f"the version must be a number, 1 or more, not {version!r}", 'write "version": 1')
            return 1
        return version

    def _schema(self, at: Keys, given: Mapping[str, Any]) -> Mapping[str, Any]:
        schema = given.get("jsonSchema")
        if not isinstance(schema, dict):
            place = (*at, "jsonSchema") if "jsonSchema" in given else at
            self._complain(place, "a rule needs a jsonSchema, which is an object", 'add "jsonSchema": {"type": "object"}')
            return {}
        for mistake in mistakes_of(schema):
            self._complain((*at, "jsonSchema", *mistake.keys), mistake.message, mistake.remedy)
        beside = {name: given[name] for name in ANNOTATIONS if name in given and name not in schema}
        for name in beside:
            self._annotation((*at, name), name, beside[name])
        for name in ANNOTATIONS:
            if name in schema:
                self._annotation((*at, "jsonSchema", name), name, schema[name])
        return {**schema, **beside} if beside else schema

    def _annotation(self, at: Keys, name: str, value: Any) -> None:
        is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if name == "x-why":
            if not isinstance(value, str):
                self._complain(at, "'x-why' must be a string: the question that the event answers")
        elif name == "x-owner":
            if not is_list and not isinstance(value, str):
                self._complain(at, "'x-owner' must be a string or a list of strings")
        elif not is_list:
            self._complain(at, f"'{name}' must be a list of strings")
        elif name == "x-destinations" and self.destinations is not None:
            for index, slug in enumerate(value):
                if slug not in self.destinations:
                    problem = Problem(
                        f"'x-destinations' names the unknown destination '{slug}'", self.located.place((*at, index)), nearest(slug, self.destinations)
                    )
                    self.warnings.append(Mistake((*at, index), problem))

    def _complain(self, keys: Keys, message: str, remedy: str = "") -> None:
        self.mistakes.append(Mistake(keys, Problem(message, self.located.place(keys), remedy)))


def _rules_in(content: Any) -> tuple[Keys, Any]:
    """Where the list of rules stands, and what stands there."""
    if isinstance(content, list):
        return (), content
    if isinstance(content, dict) and "rules" not in content and isinstance(content.get("data"), dict):
        return ("data", "rules"), content["data"].get("rules")
    return ("rules",), content.get("rules") if isinstance(content, dict) else None
