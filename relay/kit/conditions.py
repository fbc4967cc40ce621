"""Fields that are required on a condition on other fields, compiled into checks: what is missing, if anything. Asked by `relay.kit.coerce`."""

from collections.abc import Callable, Mapping
from typing import Any

from relay.errors import ConfigError
from relay.kit.definition import Condition, Field, When
from relay.kit.js import ABSENT, is_same

Check = Callable[[Mapping[str, Any]], str]
"""The name of the field that is missing, or an empty text."""


def compile_conditions(fields: tuple[Field, ...]) -> list[Check]:
    """Those of the fields, and those of the properties of objects among them, which are looked at from here."""
    checks = [_check(field.name, field.required) for field in fields if isinstance(field.required, When)]
    for field in fields:
        checks += [_check(f"{field.name}.{part.name}", part.required) for part in field.properties if isinstance(part.required, When)]
    return checks


def _check(name: str, when: When) -> Check:
    if when.match not in ("all", "any"):
        raise ConfigError(f'field "{name}": conditions match "all" or "any", not "{when.match}"')
    alone = len(when.conditions) == 1
    tests = [_condition(one, alone) for one in when.conditions]
    join = any if when.match == "any" and not alone else all

    def check(values: Mapping[str, Any]) -> str:
        return name if join(test(values) for test in tests) and not _has(values, name) else ""

    return check


def _has(values: Mapping[str, Any], name: str) -> bool:
    parent, dot, child = name.partition(".")
    if parent not in values or not dot:
        return parent in values
    return child in values[parent] if isinstance(values[parent], Mapping) else True


def _condition(condition: Condition, alone: bool) -> Callable[[Mapping[str, Any]], bool]:
    parent, dot, child = condition.field.partition(".")
    wanted, is_not = condition.value, condition.is_not
    if wanted is ABSENT and not dot:
        # Null counts as no value only for a condition that stands alone, as in the reference.
        return lambda values: (parent in values and not (alone and values[parent] is None)) is is_not

    def holds(values: Mapping[str, Any]) -> bool:
        if parent not in values:
            return False
        value = values[parent]
        if dot:
            if not isinstance(value, Mapping):
                return True
            if child not in value:
                return False
            value = value[child]
        return _equal(value, wanted) is not is_not

    return holds


def _equal(value: Any, wanted: Any) -> bool:
    if isinstance(value, list) and isinstance(wanted, list | tuple):
        return len(value) == len(wanted) and all(map(_equal, value, wanted))
    return is_same(value, wanted)
