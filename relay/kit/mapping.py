"""Segment's mapping kit: JSON with directives, compiled once into closures that build an action's fields from an event.

Promises: a mapping is checked whole when it is compiled, every mistake with its place inside the mapping; values that are
constant cost nothing per event; `{"@path": "$."}` gives the very same object that came in. Results share constants with the
mapping, so nobody changes them in place. The semantics are those of destinations page 1.1, checked against captured cases.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.errors import ConfigError, PayloadError, Problem
from relay.kit.directives import DIRECTIVES, is_directive
from relay.kit.js import ABSENT, kind_of
from relay.kit.paths import Constant, Node, Resolver, resolver_of

ROOT_DIRECTIVE: Final = "__segment_internal_directive"
"""Segment's key for a directive that takes all other fields of a mapping as its `mapping`."""
TOO_DEEP: Final = "a value is nested too deep"


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

    def resolve_object(payload: Mapping[str, Any]) -> dict[str, Any]:
        try:
            fields = node(payload)
        except RecursionError:
            raise PayloadError(TOO_DEEP) from None
        if not isinstance(fields, dict):
            raise PayloadError(f"the mapping gives {kind_of(fields)} where the fields are needed")
        return fields

    return resolve_object


def constants_of(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a mapping that are the same for every event. Mistakes are left to `compile_mapping`."""
    if is_directive(mapping) or ROOT_DIRECTIVE in mapping:
        return {}
    compiler = _Compiler()
    nodes = {key: compiler.compile(value, key) for key, value in mapping.items()}
    return {key: node.value for key, node in nodes.items() if isinstance(node, Constant) and node.value is not ABSENT}


def resolve_mapping(mapping: Mapping[str, Any], event: Any) -> Any:
    """Compile and resolve at once: the value, or ABSENT. Raises ConfigError (the mapping) or PayloadError (the event)."""
    node = _compile_checked(mapping)
    if not isinstance(event, Mapping):
        raise PayloadError(f"an event must be an object, not {kind_of(event)}")
    try:
        return resolver_of(node)(event)
    except RecursionError:
        raise PayloadError(TOO_DEEP) from None


def _compile_checked(mapping: Any) -> Node:
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"a mapping must be an object, not {kind_of(mapping)}")
    compiler = _Compiler()
    try:
        node = compiler.compile(mapping if ROOT_DIRECTIVE not in mapping else compiler.unfold(mapping), "")
    except RecursionError:
        raise ConfigError("the mapping is nested too deep") from None
    if compiler.problems:
        raise ConfigError(compiler.problems)
    return node


class _Compiler:
    """Compiles one mapping and gathers what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def refuse(self, place: str, message: str, remedy: str = "") -> Node:
        self.problems.append(Problem(f"{place}: {message}", None, remedy))
        return Constant(None)

    def unfold(self, mapping: Mapping[str, Any]) -> Mapping[str, Any]:
        """The root directive with the other fields as its mapping."""
        root = mapping[ROOT_DIRECTIVE]
        rest = {key: value for key, value in mapping.items() if key != ROOT_DIRECTIVE}
        if not isinstance(root, Mapping) or len(root) != 1 or not is_directive(root):
            self.refuse(ROOT_DIRECTIVE, "needs an object with one directive")
            return rest
        ((name, operand),) = root.items()
        if not isinstance(operand, Mapping):
            self.refuse(f"{ROOT_DIRECTIVE}.{name}", f"needs an object, not {kind_of(operand)}")
            return rest
        return {name: {**operand, "mapping": rest}}

    def compile(self, value: Any, place: str, *, keep: bool = False) -> Node:
        if isinstance(value, Mapping):
            return self._directive(value, place, keep) if is_directive(value) else self._object(value, place, keep)
        if isinstance(value, list | tuple):
            return _list([self.compile(item, f"{place}[{index}]") for index, item in enumerate(value)])
        return Constant(value)

    def _object(self, mapping: Mapping[str, Any], place: str, keep: bool) -> Node:
        """Absent keys are left out; the keys keep their order, which is why the constants stand in a form that is copied."""
        form: dict[str, Any] = {}
        moving: list[tuple[str, Resolver]] = []
        for key, value in mapping.items():
            node = self.compile(value, f"{place}.{key}" if place else key)
            if not isinstance(node, Constant):
                form[key] = ABSENT
                moving.append((key, node))
            elif node.value is not ABSENT or keep:
                form[key] = node.value
        if not moving:
            return Constant(form)

        def resolve(payload: Any) -> dict[str, Any]:
            result = form.copy()
            for key, resolver in moving:
                value = resolver(payload)
                if value is not ABSENT:
                    result[key] = value
                elif not keep:
                    del result[key]
            return result

        return resolve

    def _directive(self, mapping: Mapping[str, Any], place: str, keep: bool) -> Node:
        names = [key for key in mapping if key.startswith("@")]
        name = names[0]
        here = f"{place}.{name}" if place else name
        if len(names) > 1:
            return self.refuse(here, f"only one directive fits here, found {', '.join(names)}", "keep one of them")
        siblings = [key for key in mapping if key not in (name, "_metadata")]
        if siblings:
            return self.refuse(here, f'a directive stands alone, "{siblings[0]}" stands beside it', f'move "{siblings[0]}" out of this object')
        compile_one = DIRECTIVES.get(name)
        if compile_one is None:
            near = difflib.get_close_matches(name.lower(), DIRECTIVES, n=1, cutoff=0.0)
            return self.refuse(here, f'"{name}" is no directive', f'did you mean "{near[0]}"?')
        return compile_one(self, mapping[name], here, keep)


def _list(nodes: list[Node]) -> Node:
    """An absent item stays as a hole, which is null in JSON."""
    if all(isinstance(node, Constant) for node in nodes):
        values = [node.value for node in nodes if isinstance(node, Constant)]
        return Constant([None if value is ABSENT else value for value in values])
    resolvers = [resolver_of(node) for node in nodes]

    def resolve(payload: Any) -> list[Any]:
        values = [resolver(payload) for resolver in resolvers]
        return [None if value is ABSENT else value for value in values]

    return resolve
