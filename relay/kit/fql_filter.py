"""The dialect of filters (semantics page 3): the whole of FQL, over any field of an event. A missing field is null."""

import difflib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, NamedTuple

from relay.base.event import Event
from relay.kit.fql_parser import Call, Compare, Form, Group, Items, Level, Literal, Node, Not, Path, fail, parse
from relay.kit.fql_trigger import Read, Test, all_of, any_of
from relay.kit.glob import compile_glob
from relay.kit.js import encode, is_number, number_of, print_number

FORM: Final = Form("filter", loose=True)
FORMULA: Final = Form("formula", loose=True)


def compile_text(text: str, fields: Collection[str] = ()) -> Test:
    """The test of a filter; raises ConfigError with position and remedy. The word `all` matches everything."""
    if text.strip() == "all":
        return lambda event: True
    tree = parse(text, FORM)
    for path in _paths(tree) if fields else ():
        if path.keys[0] not in fields:
            near = difflib.get_close_matches(path.keys[0], fields, n=1, cutoff=0.6)
            fail(path.at, f'"{path.keys[0]}" is no field of an event', f'did you mean "{near[0]}"?' if near else f"fields are {', '.join(fields)}")
    return condition_of(tree)


def compile_value(text: str) -> Read:
    """The value of a formula, such as `lowercase(properties.code)`; raises ConfigError with position and remedy."""
    return _value(parse(text, FORMULA))


def types_of(text: str, types: Collection[str]) -> frozenset[str]:
    """Those of `types` whose events a filter may match, whatever else they hold; raises ConfigError."""
    return frozenset(types) if text.strip() == "all" else types_in(parse(text, FORM), types)


def types_in(tree: Node, types: Collection[str]) -> frozenset[str]:
    """The same of a statement that was read."""
    return frozenset(kind for kind in types if _holds_for(tree, kind) is not False)


def names_of(text: str) -> frozenset[str] | None:
    """The names of tracks that a filter may match, whatever else they hold; None: any. Raises ConfigError."""
    return None if text.strip() == "all" else _names_in(parse(text, FORM))


def _names_in(node: Node) -> frozenset[str] | None:
    if _holds_for(node, "track") is False:
        return frozenset()
    if isinstance(node, Group):
        return _names_in(node.inner)
    if isinstance(node, Level):
        said = [_names_in(part) for part in node.parts]
        known = [names for names in said if names is not None]
        if node.keyword == "or":
            return frozenset().union(*known) if len(known) == len(said) else None
        return frozenset.intersection(*known) if known else None
    if isinstance(node, Compare) and isinstance(node.left, Path) and node.left.keys == ("event",):
        items = node.right.items if node.op == "in" and isinstance(node.right, Items) else (node.right,) if node.op == "=" else ()
        names = [item.value for item in items if isinstance(item, Literal) and isinstance(item.value, str) and item.value]
        return frozenset(names) if len(names) == len(items) > 0 else None
    return None


def _holds_for(node: Node, kind: str) -> bool | None:
    """What the type alone says of a condition; None: nothing."""
    if isinstance(node, Level):
        said, decisive = [_holds_for(part, kind) for part in node.parts], node.keyword == "or"
        return decisive if decisive in said else None if None in said else not decisive
    if isinstance(node, Group):
        return _holds_for(node.inner, kind)
    if isinstance(node, Not):
        inner = _holds_for(node.inner, kind)
        return None if inner is None else not inner
    if isinstance(node, Compare) and isinstance(node.left, Path) and node.left.keys == ("type",):
        if isinstance(node.right, Literal) and node.op in ("=", "!="):
            return (kind == node.right.value) is (node.op == "=")
        if isinstance(node.right, Items) and node.op == "in" and all(isinstance(item, Literal) for item in node.right.items):
            return kind in [item.value for item in node.right.items if isinstance(item, Literal)]
    return None


def _paths(node: Node) -> Iterator[Path]:
    if isinstance(node, Path):
        yield node
    for part in parts_of(node):
        yield from _paths(part)


def parts_of(node: Node) -> tuple[Node, ...]:
    """What a node is made of."""
    if isinstance(node, Group | Not):
        return (node.inner,)
    if isinstance(node, Compare):
        return node.left, node.right
    return node.parts if isinstance(node, Level) else node.arguments if isinstance(node, Call) else node.items if isinstance(node, Items) else ()


def condition_of(node: Node) -> Test:
    """The test of a statement that was read; raises ConfigError."""
    if isinstance(node, Level):
        tests = [condition_of(part) for part in node.parts]
        return all_of(tests) if node.keyword == "and" else any_of(tests)
    if isinstance(node, Group):
        return condition_of(node.inner)
    if isinstance(node, Not):
        inner = condition_of(node.inner)
        return lambda event: not inner(event)
    if isinstance(node, Compare):
        return _comparison(node)
    if isinstance(node, Call) and not _function(node).is_test:
        fail(node.at, f"{node.name} gives a value, which is no condition", f'compare it, as in {node.name}(...) = "text"')
    if isinstance(node, Items) or (isinstance(node, Literal) and not (node.value is None or isinstance(node.value, bool))):
        fail(node.at, "a value stands where a condition should", 'write a field first, as in type = "track"')
    read = _value(node)
    return lambda event: read(event) is True


def _value(node: Node) -> Read:
    if isinstance(node, Literal):
        constant = node.value
        return lambda event: constant
    if isinstance(node, Path):
        return _reader(node)
    if isinstance(node, Items):
        reads = [_value(item) for item in node.items]
        return lambda event: [read(event) for read in reads]
    if isinstance(node, Call):
        function = _function(node)
        reads = [_value(argument) for argument in node.arguments]
        apply = function.apply
        if len(reads) == 1:
            (one,) = reads
            return lambda event: apply(one(event))
        first, second = reads
        return lambda event: apply(first(event), second(event))
    if isinstance(node, Group) and not isinstance(node.inner, Level | Not | Compare):
        return _value(node.inner)
    return condition_of(node)


def _reader(node: Path) -> Read:
    keys = node.keys
    for key in keys[1:]:
        if key.isdigit():
            fail(node.at, f'"{node.text}" looks into a list, which is not read', 'write "value" in properties.list')
    if keys == ("type",):
        return lambda event: event.type or None
    root, rest = keys[0], keys[1:]
    if not rest:
        return lambda event: event.payload.get(root)

    def read(event: Event) -> Any:
        value = event.payload.get(root)
        for key in rest:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return read


# --- comparisons -------------------------------------------------------------------------------------------------------------


def _same(value: Any, other: Any) -> bool:
    """Equal in type and value: 1 is neither true nor "1"."""
    if isinstance(value, bool) or isinstance(other, bool) or value is None or other is None:
        return value is other
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_same, value, other))
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(_same(value[key], other[key]) for key in value)
    return bool(value == other)


def _comparison(node: Compare) -> Test:
    left, right = _value(node.left), _value(node.right)
    if node.op == "in":
        return _membership(left, node.right)
    if node.op in ("=", "!="):
        wanted = node.right.value if isinstance(node.right, Literal) else None
        if isinstance(wanted, str):
            return (lambda event: bool(left(event) == wanted)) if node.op == "=" else (lambda event: bool(left(event) != wanted))
        return (lambda event: _same(left(event), right(event))) if node.op == "=" else (lambda event: not _same(left(event), right(event)))
    holds = _ORDERS[node.op]

    def test(event: Event) -> bool:
        value, other = left(event), right(event)
        return is_number(value) and is_number(other) and holds(value, other)

    return test


_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda value, other: bool(value < other),
    "<=": lambda value, other: bool(value <= other),
    ">": lambda value, other: bool(value > other),
    ">=": lambda value, other: bool(value >= other),
}


def _membership(left: Read, node: Node) -> Test:
    if isinstance(node, Items) and all(isinstance(item, Literal) and isinstance(item.value, str) for item in node.items):
        texts = frozenset(item.value for item in node.items if isinstance(item, Literal))
        return lambda event: isinstance(value := left(event), str) and value in texts
    if isinstance(node, Literal):
        fail(node.at, f'"in" looks into a list, found {node.text}', 'write ["a", "b"], or a field that holds a list')
    right = _value(node)

    def test(event: Event) -> bool:
        value, items = left(event), right(event)
        return isinstance(items, list) and any(_same(value, item) for item in items)

    return test


# --- functions ---------------------------------------------------------------------------------------------------------------


class _Function(NamedTuple):
    apply: Callable[..., Any]
    arguments: int = 1
    is_test: bool = False


def _function(node: Call) -> _Function:
    function = _FUNCTIONS.get(node.name)
    if function is None:
        if node.name.lower() in ("and", "or"):
            fail(node.at, f'"{node.name}" needs a space after it', f'write "{node.name} (..."')
        near = difflib.get_close_matches(node.name, _FUNCTIONS, n=1, cutoff=0.6)
        fail(node.at, f'"{node.name}" is no function', f'did you mean "{near[0]}"?' if near else f"functions are {', '.join(_FUNCTIONS)}")
    if len(node.arguments) != function.arguments:
        wanted = "two values" if function.arguments == 2 else "one value"
        fail(node.at, f"{node.name} takes {wanted}, found {len(node.arguments)}")
    return function


def _contains(value: Any, part: Any) -> bool:
    return isinstance(value, str) and isinstance(part, str) and part in value


def _match(value: Any, pattern: Any) -> bool:
    return isinstance(value, str) and isinstance(pattern, str) and compile_glob(pattern)(value)


def _length(value: Any) -> int | None:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    return len(value) if isinstance(value, list) else 0 if value is None else None


def _on_text(change: Callable[[str], str]) -> _Function:
    return _Function(lambda value: change(value) if isinstance(value, str) else None)


def _joined(separator: str) -> Callable[[str], str]:
    """`CStringRef` is `cstring_ref`, `Enabled 2FA` is `enabled_2fa`: a word begins after what is no letter or digit, or where case rises."""
    return lambda text: re.sub(r"[\W_]+", separator, re.sub(r"([a-z])([A-Z])", r"\1 \2", text)).strip(separator).lower()


def _title(text: str) -> str:
    return re.sub(r"(?<![\w'])[^\W\d_]", lambda match: match[0].upper(), text)


def _type_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "bool"
    if isinstance(value, str):
        return "string"
    return "number" if is_number(value) else "list" if isinstance(value, list) else "object"


def _to_bool(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value)
    return bool(value) if isinstance(value, int | float) else None


def _to_string(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return print_number(value) if is_number(value) else encode(value)


def _to_number(value: Any) -> int | float | None:
    if isinstance(value, str):
        return number_of(value) if value.strip() else None
    return int(value) if isinstance(value, bool) else value if is_number(value) else None


_FUNCTIONS: Final[dict[str, _Function]] = {
    "contains": _Function(_contains, 2, is_test=True),
    "match": _Function(_match, 2, is_test=True),
    "length": _Function(_length),
    "lowercase": _on_text(str.lower),
    "uppercase": _on_text(str.upper),
    "snakecase": _on_text(_joined("_")),
    "kebabcase": _on_text(_joined("-")),
    "titlecase": _on_text(_title),
    "typeof": _Function(_type_of),
    "bool": _Function(_to_bool, is_test=True),
    "string": _Function(_to_string),
    "number": _Function(_to_number),
}
