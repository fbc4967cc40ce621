"""Segment's mapping kit: JSON with directives, compiled once into closures that build an action's fields from an event.

Promises: a mapping is checked whole when it is compiled, every mistake with its place inside the mapping; values that are
constant cost nothing per event; `{"@path": "$."}` gives the very same object that came in. Results share constants with the
mapping, so nobody changes them in place. The semantics are those of destinations page 1.1, checked against captured cases.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from relay.base import jsonio
from relay.errors import ConfigError, PayloadError, Problem


class Absent:
    """The type of ABSENT: what JavaScript calls undefined."""

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()

Resolver = Callable[[Any], Any]


class Constant(NamedTuple):
    """A part of a mapping that is the same for every event."""

    value: Any


Node = Constant | Resolver

LATER: Final = ("@arrayPath", "@case", "@excludeWhenNull", "@flatten", "@json", "@liquid", "@merge", "@replace", "@transform")
"""Directives of the mapping kit that this release knows by name only."""

_BRACKET = re.compile(r"""\[(?:(\d+)|'([^']*)'|"([^"]*)")\]""")
_INDEX = re.compile(r"0|[1-9]\d*")
_PLACEHOLDER = re.compile(r"\{\{\{([^{}]+)\}\}\}|\{\{([^{}]+)\}\}")


def compile_mapping(mapping: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The function from an event's payload to the fields; raises ConfigError with every mistake and its place.

    The function raises PayloadError when the event does not fit (a computed path that is no string, a result that is no object).
    """
    node = _compile_checked(mapping)
    if isinstance(node, Constant):
        constant = node.value
        if not isinstance(constant, dict):
            raise ConfigError(f"the mapping gives {kind_of(constant)} where the fields are needed")
        return lambda payload: constant.copy()
    if not _is_directive(mapping):
        return node

    def resolve_object(payload: Mapping[str, Any]) -> dict[str, Any]:
        fields = node(payload)
        if not isinstance(fields, dict):
            raise PayloadError(f"the mapping gives {kind_of(fields)} where the fields are needed")
        return fields

    return resolve_object


def constants_of(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a mapping that are the same for every event. Mistakes are left to `compile_mapping`."""
    if _is_directive(mapping):
        return {}
    nodes = {key: _compile(value, key, []) for key, value in mapping.items()}
    return {key: node.value for key, node in nodes.items() if isinstance(node, Constant)}


def resolve_mapping(mapping: Mapping[str, Any], event: Any) -> Any:
    """Compile and resolve at once: the value, or ABSENT. Raises ConfigError (the mapping) or PayloadError (the event)."""
    node = _compile_checked(mapping)
    if not isinstance(event, Mapping):
        raise PayloadError(f"an event must be an object, not {kind_of(event)}")
    return node.value if isinstance(node, Constant) else node(event)


def kind_of(value: Any) -> str:
    """What JSON calls the type of `value`, with its article."""
    if value is ABSENT:
        return "nothing"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "a list"


# --- compiling ---------------------------------------------------------------------------------------------------------------


def _compile_checked(mapping: Any) -> Node:
    problems: list[Problem] = []
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"a mapping must be an object, not {kind_of(mapping)}")
    node = _compile(mapping, "", problems)
    if problems:
        raise ConfigError(problems)
    return node


def _compile(value: Any, place: str, problems: list[Problem]) -> Node:
    if isinstance(value, Mapping):
        return _compile_directive(value, place, problems) if _is_directive(value) else _compile_object(value, place, problems)
    if isinstance(value, list | tuple):
        return _compile_list([_compile(item, f"{place}[{index}]", problems) for index, item in enumerate(value)])
    return Constant(value)


def _is_directive(value: Mapping[str, Any]) -> bool:
    return any(key.startswith("@") for key in value)


def _compile_object(mapping: Mapping[str, Any], place: str, problems: list[Problem]) -> Node:
    """Absent keys are left out; the keys keep their order, which is why the constants stand in a form that is copied."""
    form: dict[str, Any] = {}
    moving: list[tuple[str, Resolver]] = []
    for key, value in mapping.items():
        node = _compile(value, f"{place}.{key}" if place else key, problems)
        if isinstance(node, Constant):
            form[key] = node.value
        else:
            form[key] = ABSENT
            moving.append((key, node))
    if not moving:
        return Constant(form)

    def resolve(payload: Any) -> dict[str, Any]:
        result = form.copy()
        for key, resolver in moving:
            value = resolver(payload)
            if value is ABSENT:
                del result[key]
            else:
                result[key] = value
        return result

    return resolve


def _compile_list(nodes: list[Node]) -> Node:
    """An absent item stays as a hole, which is null in JSON."""
    if all(isinstance(node, Constant) for node in nodes):
        return Constant([node.value for node in nodes if isinstance(node, Constant)])
    resolvers = [_resolver(node) for node in nodes]

    def resolve(payload: Any) -> list[Any]:
        values = [resolver(payload) for resolver in resolvers]
        return [None if value is ABSENT else value for value in values]

    return resolve


def _resolver(node: Node) -> Resolver:
    if isinstance(node, Constant):
        value = node.value
        return lambda payload: value
    return node


def _compile_directive(mapping: Mapping[str, Any], place: str, problems: list[Problem]) -> Node:
    names = [key for key in mapping if key.startswith("@")]
    name = names[0]
    here = f"{place}.{name}" if place else name
    if len(names) > 1:
        return _refuse(problems, here, f"only one directive fits here, found {', '.join(names)}", "keep one of them")
    siblings = [key for key in mapping if key not in (name, "_metadata")]
    if siblings:
        return _refuse(problems, here, f'a directive stands alone, "{siblings[0]}" stands beside it', f'move "{siblings[0]}" out of this object')
    compile_one = _DIRECTIVES.get(name)
    if compile_one is not None:
        return compile_one(mapping[name], here, problems)
    if name in LATER:
        return _refuse(problems, here, f'"{name}" is not in this release', f"use {', '.join(_DIRECTIVES)}")
    near = difflib.get_close_matches(name.lower(), [*_DIRECTIVES, *LATER], n=1, cutoff=0.0)
    return _refuse(problems, here, f'"{name}" is no directive', f'did you mean "{near[0]}"?')


def _refuse(problems: list[Problem], place: str, message: str, remedy: str = "") -> Node:
    problems.append(Problem(f"{place}: {message}", None, remedy))
    return Constant(None)


# --- directives --------------------------------------------------------------------------------------------------------------


def _compile_text(operand: Any, place: str, problems: list[Problem], make: Callable[[str], Node]) -> Node:
    """A directive whose operand is a string, or a directive that gives one when an event is there."""
    if isinstance(operand, str):
        return make(operand)
    if not isinstance(operand, Mapping) or not _is_directive(operand):
        return _refuse(problems, place, f"needs a string, not {kind_of(operand)}")
    node = _compile(operand, place, problems)
    if isinstance(node, Constant):
        if isinstance(node.value, str):
            return make(node.value)
        return _refuse(problems, place, f"needs a string, not {kind_of(node.value)}")
    source, name = node, place.rpartition(".")[2]

    def resolve(payload: Any) -> Any:
        text = source(payload)
        if not isinstance(text, str):
            raise PayloadError(f"{name} needs a string, the mapping gives {kind_of(text)}")
        return _resolver(make(text))(payload)

    return resolve


def _compile_path_directive(operand: Any, place: str, problems: list[Problem]) -> Node:
    return _compile_text(operand, place, problems, lambda text: compile_path(text.removeprefix("$.")))


def _compile_template_directive(operand: Any, place: str, problems: list[Problem]) -> Node:
    if isinstance(operand, str) and any(not (long or short).strip() for long, short in _PLACEHOLDER.findall(operand)):
        return _refuse(problems, place, "a placeholder is empty", "write the path of a value between the braces")
    return _compile_text(operand, place, problems, compile_template)


def _compile_if(operand: Any, place: str, problems: list[Problem]) -> Node:
    """`exists` is asked first; `blank`, despite its name, chooses `then` for a value that is not blank."""
    if not isinstance(operand, Mapping):
        return _refuse(problems, place, f"needs an object, not {kind_of(operand)}")
    test = "exists" if _is_truthy(operand.get("exists")) else "blank"
    if not _is_truthy(operand.get(test)):
        return _refuse(problems, place, 'needs "exists" or "blank" with a value to look at', 'write "exists": {"@path": "$.userId"}')
    asked = _resolver(_compile(operand[test], f"{place}.{test}", problems))
    then = _resolver(_compile(operand["then"], f"{place}.then", problems) if "then" in operand else Constant(ABSENT))
    # A falsy `else` counts as missing, as in the reference; a falsy `then` does not.
    otherwise = _resolver(_compile(operand["else"], f"{place}.else", problems) if _is_truthy(operand.get("else")) else Constant(ABSENT))
    if test == "exists":

        def resolve_exists(payload: Any) -> Any:
            value = asked(payload)
            return otherwise(payload) if value is None or value is ABSENT else then(payload)

        return resolve_exists

    return lambda payload: otherwise(payload) if _is_blank(asked(payload)) else then(payload)


def _is_truthy(value: Any) -> bool:
    """As JavaScript sees it: an empty object or list is true."""
    return bool(value) or isinstance(value, Mapping | list)


def _is_blank(value: Any) -> bool:
    """Absent, null, or loosely equal to the empty string: 0, false, '' and a list that prints as nothing."""
    if isinstance(value, Mapping):
        return False
    return print_as_js(value) == "" if isinstance(value, list) else not value


_DIRECTIVES: Final[dict[str, Callable[[Any, str, list[Problem]], Node]]] = {
    "@path": _compile_path_directive,
    "@template": _compile_template_directive,
    "@literal": _compile,
    "@if": _compile_if,
}


# --- paths and templates -----------------------------------------------------------------------------------------------------


def _itself(payload: Any) -> Any:
    return payload


@lru_cache(maxsize=4096)
def compile_path(path: str) -> Resolver:
    """The value at `path` (`a.b[0]['c']`, without `$.`), or ABSENT; the empty path is the whole input.

    Walking through null, 0, false or '' stops there and gives that value.
    """
    keys = tuple(key for key in _BRACKET.sub(lambda match: "." + (match[1] or match[2] or match[3] or ""), path).split(".") if key)
    if not keys:
        return _itself

    def resolve(payload: Any) -> Any:
        value = payload
        for key in keys:
            if isinstance(value, dict):
                value = value.get(key, ABSENT)
            elif not value and not isinstance(value, list):
                return value
            else:
                value = _step(value, key)
        return value

    return resolve


def _step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        if _INDEX.fullmatch(key):
            return value[int(key)] if int(key) < len(value) else ABSENT
        return len(value) if key == "length" else ABSENT
    if isinstance(value, str) and key == "length":
        return len(value) if value.isascii() else len(value.encode("utf-16-le", "surrogatepass")) // 2
    return value.get(key, ABSENT) if isinstance(value, Mapping) else ABSENT


@lru_cache(maxsize=1024)
def compile_template(text: str) -> Node:
    """The text with `{{path}}` and `{{{path}}}` filled in; nothing is escaped, and there are no helpers or filters."""
    parts: list[Node] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        parts.append(Constant(text[end : match.start()]))
        parts.append(compile_path((match[1] or match[2]).strip()))
        end = match.end()
    if not parts:
        return Constant(text)
    parts.append(Constant(text[end:]))
    resolvers = [_resolver(part) for part in parts if not isinstance(part, Constant) or part.value]
    return lambda payload: "".join([print_as_js(resolver(payload)) for resolver in resolvers])


def print_as_js(value: Any) -> str:
    """As a JavaScript template prints it, but an object as JSON rather than `[object Object]`, which only loses data."""
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join([print_as_js(item) for item in value])
    return jsonio.js_dumps(value).decode()
