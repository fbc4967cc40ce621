"""Field definitions as plain JSON, in the shape of Segment's action fields, for the public `coerce_fields`."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from relay.errors import ConfigError, Problem
from relay.kit.coerce import compile_fields
from relay.kit.definition import Condition, Field, When
from relay.kit.js import ABSENT, is_number, kind_of

_KEYS: Final = {
    "label", "description", "type", "required", "multiple", "allowNull", "choices", "format", "default", "properties", "additionalProperties",
    "minimum", "maximum", "category", "placeholder", "depends_on", "dynamic", "defaultObjectUI", "unsafe_hidden", "readOnly", "displayMode",
    "disabledInputMethods",
}  # fmt: skip
"""Those that only concern Segment's forms are taken and not looked at."""


def coerce_fields(fields: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Coerce and validate: `fields` as in Segment's action definitions (name to `{type, required, multiple, ...}`), `values` from a mapping.

    Raises ConfigError for a wrong definition, PayloadError (with the field named) for values that do not fit.
    """
    if not isinstance(fields, Mapping) or not isinstance(values, Mapping):
        raise ConfigError("fields and values must be objects")
    return compile_fields(_Reader().fields(fields, ""))(values)


@dataclass(frozen=True, slots=True)
class _Reader:
    def fields(self, given: Mapping[str, Any], place: str) -> tuple[Field, ...]:
        return tuple(self._field(name, one, f"{place}{name}") for name, one in given.items())

    def _field(self, name: str, given: Any, place: str) -> Field:
        if not isinstance(given, Mapping):
            raise ConfigError(f'field "{place}" must be an object, not {kind_of(given)}')
        for key in given:
            near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.7) if key not in _KEYS else []
            if near:
                raise ConfigError([Problem(f'field "{place}": "{key}" is not read here', None, f'did you mean "{near[0]}"?')])
        choices = given.get("choices") or ()
        properties = given.get("properties") or {}
        if not isinstance(choices, list | tuple) or not isinstance(properties, Mapping):
            raise ConfigError(f'field "{place}": choices must be a list, and properties an object')
        if given.get("type") != "object" and properties:
            properties = {}
        values: tuple[Any, ...] = tuple(choice.get("value") if isinstance(choice, Mapping) else choice for choice in choices)
        bounds = {key: given.get(key) for key in ("minimum", "maximum")}
        if any(bound is not None and not is_number(bound) for bound in bounds.values()):
            raise ConfigError(f'field "{place}": minimum and maximum must be numbers')
        return Field(
            name, str(given.get("label", name)), str(given.get("type", "")),
            required=self._required(given.get("required", False), place),
            multiple=bool(given.get("multiple")), allow_null=bool(given.get("allowNull")),
            choices=values,
            format=str(given.get("format") or ""), properties=self.fields(properties, f"{place}."),
            minimum=bounds["minimum"], maximum=bounds["maximum"], additional_properties=bool(given.get("additionalProperties")),
        )  # fmt: skip

    def _required(self, given: Any, place: str) -> bool | When:
        if not isinstance(given, Mapping):
            return given is True
        conditions = given.get("conditions")
        if not isinstance(conditions, list) or not conditions:
            raise ConfigError(f'field "{place}": required needs true, false or a list of conditions')
        return When(tuple(self._condition(one, place) for one in conditions), str(given.get("match", "all")))

    def _condition(self, given: Any, place: str) -> Condition:
        if not isinstance(given, Mapping) or not isinstance(given.get("fieldKey"), str):
            raise ConfigError(f'field "{place}": a condition needs a fieldKey')
        if given.get("operator") not in ("is", "is_not"):
            raise ConfigError([Problem(f'field "{place}": a condition needs an operator', None, 'write "is" or "is_not"')])
        return Condition(given["fieldKey"], given.get("value", ABSENT), given["operator"] == "is_not")
