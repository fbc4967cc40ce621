"""After the mapping: empties and unknown keys go, types are coerced as Segment's field validation does, the rest is refused.

Promises: an `object` field without declared properties is neither copied nor walked, so the payload stays the same object;
a PayloadError names the field and the kind of what was found, never the value.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from relay.errors import ConfigError, PayloadError, Problem
from relay.kit.conditions import compile_conditions
from relay.kit.definition import Field, When
from relay.kit.formats import FORMATS
from relay.kit.js import ABSENT, is_same, kind_of, number_of, print_as_js, print_number

Coercer = Callable[[Any], Any]
"""A value to the value as the field wants it; raises _Unfit."""

MISSING: Final = "is required and has no value"


class _Unfit(Exception):
    """The value does not fit; `path` is where inside the field."""

    def __init__(self, wanted: str, path: str = "") -> None:
        self.wanted, self.path = wanted, path
        super().__init__(wanted)


def compile_fields(fields: tuple[Field, ...], known: Mapping[str, Any] | None = None) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The function from mapped values to what the action gets; it raises PayloadError. `known`: fields that were coerced before."""
    given = dict(known or {})
    keepers = {field.name: (_compile_field(field, field.name, root=True), _takes_null(field)) for field in fields}
    required = tuple(field.name for field in fields if field.required is True)
    conditions = compile_conditions(fields)

    def coerce(values: Mapping[str, Any]) -> dict[str, Any]:
        result = given.copy()
        for name, value in values.items():
            keeper = keepers.get(name)
            if keeper is None or value == "":
                continue
            if value is None:
                if keeper[1]:
                    result[name] = None
                continue
            try:
                result[name] = keeper[0](value)
            except _Unfit as unfit:
                field = name + unfit.path
                raise PayloadError(f'field "{field}" {unfit.wanted}', field=field) from None
            except RecursionError:
                raise PayloadError(f'field "{name}" is nested too deep', field=name) from None
        for name in required:
            if name not in result:
                raise PayloadError(f'field "{name}" {MISSING}', field=name)
        if conditions:
            present = {name: values[name] if name in values else result[name] for name in result}
            for check in conditions:
                missing = check(present)
                if missing:
                    raise PayloadError(f'field "{missing}" {MISSING}', field=missing)
        return result

    return coerce


def _takes_null(field: Field) -> bool:
    """A list, and an object whose keys are declared, never is null: `allow_null` does not reach there in the reference."""
    return field.allow_null and not field.multiple and not field.properties


def _compile_field(field: Field, place: str, *, root: bool = False) -> Coercer:
    if not field.multiple:
        return _compile_one(field, place)
    one = _compile_one(replace(field, format="", minimum=None, maximum=None), place, item=True)
    is_text = field.type in TEXTS

    def coerce_each(value: Any) -> list[Any]:
        if not isinstance(value, list):
            if not root and isinstance(value, Mapping):
                raise _Unfit("must be a list, got an object")
            value = [value]
        return [one(item) for item in value if item is not None and (is_text or item != "")]

    return coerce_each


def _compile_one(field: Field, place: str, *, item: bool = False) -> Coercer:
    if field.properties:
        coerce = _compile_properties(field, place, item)
    elif field.type in _COERCERS:
        coerce = _dated_item if item and field.type == "datetime" else _COERCERS[field.type]
    else:
        near = difflib.get_close_matches(field.type, _COERCERS, n=1, cutoff=0.5)
        raise ConfigError([Problem(f'field "{place}" has the unknown type "{field.type}"', None, f'did you mean "{near[0]}"?' if near else "")])
    if field.allow_null and not field.properties and not item:
        coerce = _or_null(coerce)
    if field.format:
        coerce = _with_format(coerce, field.format, place) if field.type == "string" else coerce
    if field.type in ("string", "number") and (field.minimum or field.maximum):
        coerce = _with_range(coerce, field)
    if field.choices:
        coerce = _with_choices(coerce, field.choices)
    return coerce


def _or_null(coerce: Coercer) -> Coercer:
    """Where null is welcome, what is loosely nothing becomes null rather than being refused."""

    def check(value: Any) -> Any:
        try:
            return coerce(value)
        except _Unfit:
            if value == "" or (isinstance(value, int | float) and not value):
                return None
            raise

    return check


def _with_format(coerce: Coercer, name: str, place: str) -> Coercer:
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.5)
        raise ConfigError([Problem(f'field "{place}" has the unknown format "{name}"', None, f'did you mean "{near[0]}"?' if near else "")])
    fits, wanted = FORMATS[name]

    def check(value: Any) -> Any:
        text = coerce(value)
        # An empty string gets here inside objects and lists only, where it stays.
        if text is not None and not fits(text):
            raise _Unfit(wanted)
        return text

    return check


def _with_range(coerce: Coercer, field: Field) -> Coercer:
    """A bound of 0 counts as none, as in the reference."""
    least, most = field.minimum or None, field.maximum or None
    bounds = " and ".join(f"{word} {print_number(bound)}" for word, bound in (("at least", least), ("at most", most)) if bound is not None)
    wanted = f"must have {bounds} characters" if field.type == "string" else f"must be {bounds}"

    def check(value: Any) -> Any:
        kept = coerce(value)
        if kept is None:
            return None
        size = len(kept) if isinstance(kept, str) else kept
        if (least is not None and size < least) or (most is not None and size > most):
            raise _Unfit(wanted)
        return kept

    return check


def _with_choices(coerce: Coercer, choices: tuple[str | int, ...]) -> Coercer:
    wanted = f"must be one of {', '.join(map(str, choices))}"
    accepted = frozenset(choices)

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in accepted and coerce is _string:
            return value
        chosen = coerce(value)
        if chosen is not None and not any(is_same(chosen, choice) for choice in choices):
            raise _Unfit(wanted)
        return chosen

    return check


def _compile_properties(field: Field, place: str, item: bool) -> Coercer:
    """An object with declared properties: null goes, except within lists, where it becomes the type's nothing; '' stays as a text.

    When a property is required on a condition, its siblings are not checked for being there, as in the reference.
    """
    parts = {part.name: _compile_field(part, f"{place}.{part.name}") for part in field.properties}
    nulls = {part.name for part in field.properties if _takes_null(part)}
    nothing = {part.name: _nothing(part) for part in field.properties} if item else {}
    blank_goes = set() if item else {part.name for part in field.properties if part.type not in (*TEXTS, "datetime") or part.multiple}
    bare = any(isinstance(part.required, When) for part in field.properties)
    required = [] if bare else [part.name for part in field.properties if part.required is True]
    conditions = [] if bare else compile_conditions(field.properties)
    keeps_others = field.additional_properties

    def coerce(value: Any) -> dict[str, Any]:
        given = _object(value)
        result: dict[str, Any] = {}
        for name, one in given.items():
            keep = parts.get(name)
            if keep is None:
                if keeps_others:
                    result[name] = one
                continue
            if one is None:
                if name in nulls:
                    result[name] = None
                elif item:
                    result[name] = _filled(nothing[name], name)
                continue
            if one == "" and name in blank_goes:
                continue
            try:
                result[name] = keep(one)
            except _Unfit as unfit:
                raise _Unfit(unfit.wanted, f".{name}{unfit.path}") from None
        for name in required:
            if name not in result:
                raise _Unfit(MISSING, f".{name}")
        for check in conditions:
            missing = check(given)
            if missing:
                raise _Unfit(MISSING, f".{missing}")
        return result

    return coerce


def _nothing(field: Field) -> Any:
    """What null in a list's object is turned into; ABSENT where it is refused."""
    if field.multiple:
        return [_nothing(replace(field, multiple=False))]
    return {"string": "", "text": "", "password": "", "datetime": "", "number": 0, "integer": 0, "boolean": False}.get(field.type, ABSENT)


def _filled(value: Any, name: str) -> Any:
    if value is ABSENT or value == [ABSENT]:
        raise _Unfit("must be an object, got null", f".{name}")
    return value


# --- types -------------------------------------------------------------------------------------------------------------------

TEXTS: Final = ("string", "text", "password")


def _scalar(value: Any) -> Any:
    """A list of one item counts as the item."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and len(value) == 1:
        value = "" if value[0] is None else value[0]
    if value is None or isinstance(value, Mapping | list):
        raise _Unfit(f"must be a string, got {kind_of(value)}")
    return print_as_js(value)


def _number(value: Any, wanted: str = "must be a number") -> int | float:
    if isinstance(value, list) and len(value) == 1:
        value = 0 if value[0] is None else value[0]
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    number = number_of(value) if isinstance(value, str) and value else None
    if number is None:
        raise _Unfit(f"{wanted}, got {kind_of(value)}{' that is none' if isinstance(value, str) else ''}")
    return number


def _integer(value: Any) -> int:
    number = _number(value, "must be a whole number")
    if isinstance(number, float) and not number.is_integer():
        raise _Unfit("must be a whole number, got a fraction")
    return int(number)


def _boolean(value: Any) -> bool:
    if isinstance(value, list) and len(value) == 1:
        value = False if value[0] is None else value[0]
    if value is True or value == "true" or value == 1:
        return True
    if value is False or value == "false" or value == 0:
        return False
    raise _Unfit(f"must be true or false, got {kind_of(value)}")


def _object(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    value = _scalar(value)
    if isinstance(value, Mapping):
        return value
    raise _Unfit(f"must be an object, got {kind_of(value)}")


_WORD = re.compile(r"[A-Za-z]+")
_DIGITS = re.compile(r"\d+")
_LOOSE_ISO = re.compile(r"\d{4}[-/]?\d{0,2}[-/]?\d{0,2}[Tt\s]*\d{0,2}:?\d{0,2}:?\d{0,2}[.:]?\d*", re.ASCII)
_TIME = re.compile(r"\d{1,2}:\d{1,2}(?::\d{1,2}(?:[.,:]\d+)?)?|[+-]\d{2}:?\d{2}$")
_DATE_WORDS = re.compile(r"(?i)(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*|am|pm|t|z|ut|utc|gmt|[ecmp][sd]t")


def _datetime(value: Any) -> Any:
    """Any number, and any string that JavaScript's date parsing takes (it takes `2026-13-45`); unchanged."""
    value = _scalar(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = re.sub(r"\([^)]*\)", "", value)
        if _LOOSE_ISO.fullmatch(value):
            return value
        # A year, a month and a day at most, beside the time and its zone: an address such as 10.0.0.1 is no date.
        if 1 <= len(_DIGITS.findall(_TIME.sub("", text))) <= 3 and all(_DATE_WORDS.fullmatch(word) for word in _WORD.findall(text)):
            return value
    raise _Unfit(f"must be a date, got {kind_of(value)}{' that is none' if isinstance(value, str) else ''}")


def _dated_item(value: Any) -> Any:
    """In a list a date is a text or a number, unread."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _string(value)


_COERCERS: Final[dict[str, Coercer]] = {
    "string": _string, "text": _string, "password": _string, "number": _number, "integer": _integer,
    "boolean": _boolean, "datetime": _datetime, "object": _object,
}  # fmt: skip
