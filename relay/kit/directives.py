"""The directives of the mapping kit, each as a function from its operand to a node. The semantics are those of destinations page 1.1.

What is wrong in an operand is refused when the mapping is compiled, with its place; what an event makes wrong raises PayloadError.
A node compiled with `keep` may hold ABSENT for keys of its outermost object: in `@merge` they hide the same keys of earlier objects.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson

from relay.base import jsonio
from relay.errors import PayloadError
from relay.kit.js import ABSENT, encode, is_truthy, kind_of, length_of, print_as_js
from relay.kit.paths import Constant, Node, compile_path, compile_template, empty_placeholder, resolver_of

MAX_PATTERN_CHARS: Final = 10
MAX_REPLACEMENT_CHARS: Final = 10


class Compiler(Protocol):
    """What a directive needs of the compiler that called it."""

    def compile(self, value: Any, place: str, *, keep: bool = False) -> Node:
        """The node of a part of the mapping."""
        ...

    def refuse(self, place: str, message: str, remedy: str = "") -> Node:
        """Note a mistake and go on."""
        ...


class Operand:
    """The object that a directive takes, and what is wrong with it."""

    def __init__(self, compiler: Compiler, value: Any, place: str, names: Sequence[str]) -> None:
        self.compiler, self.place, self.names = compiler, place, names
        self.is_good = True
        self.value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping):
            self.refuse("", f"needs an object, not {kind_of(value)}")
        elif any(key.startswith("@") for key in value):
            self.refuse("", "needs an object, not a directive", f"write the keys {', '.join(names)} here")
        for key in self.value:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.7) if key not in names else []
            if near and near[0] not in self.value:
                self.refuse(key, f'"{key}" is not read here', f'did you mean "{near[0]}"?')

    def refuse(self, key: str, message: str, remedy: str = "") -> None:
        if self.is_good or key:
            self.compiler.refuse(f"{self.place}.{key}" if key else self.place, message, remedy)
        self.is_good = False

    def node(self, key: str, *, keep: bool = False) -> Node:
        """The node of a key; absent when the key is."""
        return self.compiler.compile(self.value[key], f"{self.place}.{key}", keep=keep) if key in self.value else Constant(ABSENT)

    def needs(self, key: str, remedy: str = "") -> bool:
        if key not in self.value and self.is_good:
            self.refuse("", f'needs "{key}"', remedy)
        return key in self.value

    def word(self, key: str, allowed: Sequence[str]) -> str:
        """One of the words; they are what a wrong one is told."""
        if not self.needs(key, f'write "{key}": "{allowed[0]}" or "{allowed[1]}"'):
            return ""
        value = self.value[key]
        if value not in allowed:
            near = difflib.get_close_matches(value.lower(), allowed, n=1, cutoff=0.5) if isinstance(value, str) else []
            shown = f'"{value}"' if isinstance(value, str) else kind_of(value)
            self.refuse(key, f"must be {' or '.join(allowed)}, not {shown}", f'did you mean "{near[0]}"?' if near else "")
        return str(value)

    def text(self, key: str, least: int, most: int, otherwise: str = "") -> str:
        """A text of the mapping itself, within these lengths."""
        value = self.value.get(key, otherwise)
        if not isinstance(value, str):
            self.refuse(key, f"needs a string, not {kind_of(value)}")
            return otherwise
        if not least <= length_of(value) <= most:
            self.refuse(key, f"must have {least} to {most} characters, this has {length_of(value)}")
        return value

    def flag(self, key: str, otherwise: bool) -> bool:
        value = self.value.get(key, otherwise)
        if not isinstance(value, bool):
            self.refuse(key, f"needs true or false, not {kind_of(value)}")
        return bool(value)

    def directive_or(self, key: str, kinds: type | tuple[type, ...], wanted: str) -> bool:
        """Whether a key holds a directive, or a value of these kinds."""
        value = self.value[key]
        if is_directive(value) or (isinstance(value, kinds) and not isinstance(value, bool)):
            return True
        self.refuse(key, f"needs {wanted} or a directive, not {kind_of(value)}")
        return False


def is_directive(value: Any) -> bool:
    return isinstance(value, Mapping) and any(key.startswith("@") for key in value)


# --- texts -------------------------------------------------------------------------------------------------------------------


def _compile_text(compiler: Compiler, operand: Any, place: str, make: Callable[[str], Node]) -> Node:
    """A directive whose operand is a string, or a directive that gives one when an event is there."""
    if isinstance(operand, str):
        return make(operand)
    if not is_directive(operand):
        return compiler.refuse(place, f"needs a string, not {kind_of(operand)}")
    node = compiler.compile(operand, place)
    if isinstance(node, Constant):
        return make(node.value) if isinstance(node.value, str) else compiler.refuse(place, f"needs a string, not {kind_of(node.value)}")
    source, name = node, place.rpartition(".")[2]

    def resolve(payload: Any) -> Any:
        text = source(payload)
        if not isinstance(text, str):
            raise PayloadError(f"{name} needs a string, the mapping gives {kind_of(text)}")
        return resolver_of(make(text))(payload)

    return resolve


def _compile_path(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    return _compile_text(compiler, operand, place, compile_path)


def _compile_template(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    if isinstance(operand, str) and empty_placeholder(operand):
        return compiler.refuse(place, "a placeholder is empty", "write the path of a value between the braces")
    return _compile_text(compiler, operand, place, compile_template)


def _compile_literal(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    return compiler.compile(operand, place, keep=keep)


def _compile_liquid(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    if not isinstance(operand, str):
        return compiler.refuse(place, f"needs a string, not {kind_of(operand)}")
    # Imported here: only few mappings need it, and the library costs start-up time.
    from relay.kit.liquid import compile_liquid

    return compile_liquid(operand, lambda message, remedy: compiler.refuse(place, message, remedy))


def _compile_case(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    given = Operand(compiler, operand, place, ("operator", "value"))
    change = str.lower if given.word("operator", ("lower", "upper")) == "lower" else str.upper
    if "value" in given.value:
        given.directive_or("value", str, "a string")
    node = given.node("value")
    if isinstance(node, Constant):
        return Constant(change(node.value) if node.value else ABSENT) if isinstance(node.value, str) else node
    source = node

    def resolve(payload: Any) -> Any:
        value = source(payload)
        return change(value) if isinstance(value, str) else value

    return resolve


def _compile_replace(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    given = Operand(compiler, operand, place, ("pattern", "replacement", "value", "ignorecase", "global", "pattern2", "replacement2"))
    given.needs("pattern", 'write the text to look for, as in "pattern": "-"')
    given.needs("value", 'write the text to change, as in "value": {"@path": "$.event"}')
    if not given.is_good:
        return Constant(None)
    ignore_case, everywhere = given.flag("ignorecase", False), given.flag("global", True)
    replace = _replacer(given.text("pattern", 1, MAX_PATTERN_CHARS), given.text("replacement", 0, MAX_REPLACEMENT_CHARS), ignore_case, everywhere)
    again: Callable[[str], str] | None = None
    if given.value.get("pattern2"):
        second = "" if given.value.get("replacement2") is None else given.text("replacement2", 0, MAX_REPLACEMENT_CHARS)
        again = _replacer(given.text("pattern2", 1, MAX_PATTERN_CHARS), second, ignore_case, everywhere)
    if not given.directive_or("value", str, "a string") or given.value["value"] == "":
        return Constant(ABSENT)
    source = resolver_of(given.node("value"))

    def resolve(payload: Any) -> str:
        value = source(payload)
        if not isinstance(value, str):
            if not isinstance(value, int | float):
                return ""
            value = print_as_js(value)
        value = replace(value)
        return again(value) if again else value

    return resolve


_REFERENCE = re.compile(r"\$([$&`'])")


def _replacer(pattern: str, replacement: str, ignore_case: bool, everywhere: bool) -> Callable[[str], str]:
    """Literal texts; only `$$`, `$&`, `` $` `` and `$'` mean something in a replacement, as in JavaScript."""
    references = bool(_REFERENCE.search(replacement))
    if not ignore_case and not references:
        count = -1 if everywhere else 1
        return lambda text: text.replace(pattern, replacement, count)
    compiled = re.compile(re.escape(pattern), re.IGNORECASE if ignore_case else 0)

    def expand(match: re.Match[str]) -> str:
        if not references:
            return replacement
        said = {"$": "$", "&": match[0], "`": match.string[: match.start()], "'": match.string[match.end() :]}
        return _REFERENCE.sub(lambda found: said[found[1]], replacement)

    return lambda text: compiled.sub(expand, text, 0 if everywhere else 1)


def _compile_json(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    given = Operand(compiler, operand, place, ("mode", "value"))
    mode = given.word("mode", ("encode", "decode"))
    if given.needs("value") and not is_truthy(given.value["value"]):
        given.refuse("value", f"needs a value to {mode}, not {encode(given.value['value'])}")
    source = resolver_of(given.node("value"))
    if mode == "encode":

        def resolve_encode(payload: Any) -> Any:
            value = source(payload)
            return ABSENT if value is ABSENT else encode(value)

        return resolve_encode

    def resolve_decode(payload: Any) -> Any:
        value = source(payload)
        if not isinstance(value, str):
            return value
        try:
            return jsonio.loads(value)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return value

    return resolve_decode


# --- choices -----------------------------------------------------------------------------------------------------------------


def _compile_if(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    """`exists` is asked first; `blank`, despite its name, chooses `then` for a value that is not blank."""
    given = Operand(compiler, operand, place, ("exists", "blank", "then", "else"))
    if given.is_good and not is_truthy(given.value.get("exists")) and not is_truthy(given.value.get("blank")):
        given.refuse("", 'needs "exists" or "blank" with a value to look at', 'write "exists": {"@path": "$.userId"}')
    by_existence = "exists" in given.value
    asked = given.node("exists" if by_existence else "blank")
    then = given.node("then", keep=keep)
    otherwise = given.node("else", keep=keep)
    if not is_truthy(given.value.get("else")):
        # A falsy `else` counts as missing, as in the reference; a falsy `then` does not.
        otherwise = Constant(ABSENT)
    if isinstance(asked, Constant):
        value = asked.value
        chosen = (value is not None and value is not ABSENT) if by_existence else not _is_blank(value)
        return then if chosen else otherwise
    ask, yes, no = asked, resolver_of(then), resolver_of(otherwise)
    if by_existence:

        def resolve_exists(payload: Any) -> Any:
            value = ask(payload)
            return no(payload) if value is None or value is ABSENT else yes(payload)

        return resolve_exists
    return lambda payload: no(payload) if _is_blank(ask(payload)) else yes(payload)


def _is_blank(value: Any) -> bool:
    """Absent, null, or loosely equal to the empty string: 0, false, '' and a list that prints as nothing."""
    if isinstance(value, Mapping):
        return False
    return print_as_js(value) == "" if isinstance(value, list) else not value


def _compile_exclude(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    source = resolver_of(compiler.compile(operand, place, keep=keep))

    def resolve(payload: Any) -> Any:
        value = source(payload)
        if value is None:
            return ABSENT
        return _without_nulls(value, keep) if isinstance(value, Mapping) else value

    return resolve


def _without_nulls(value: Mapping[str, Any], keep: bool) -> dict[str, Any]:
    """Nulls go, also in objects of the object; lists stay as they are. `keep`: what goes leaves ABSENT behind."""
    gone = {key: ABSENT for key, item in value.items() if item is None} if keep else {}
    rest = {key: _without_nulls(item, False) if isinstance(item, Mapping) else item for key, item in value.items() if item is not None}
    return {**gone, **rest}


# --- objects and lists -------------------------------------------------------------------------------------------------------


def _compile_array_path(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    """Each item of a list through a shape; the item is all that the shape sees."""
    if not isinstance(operand, list | tuple):
        return compiler.refuse(place, f"needs a list of a path and a shape, not {kind_of(operand)}", 'write ["$.properties.products", {...}]')
    if not operand or not (isinstance(operand[0], str) or is_directive(operand[0])):
        found = kind_of(operand[0]) if operand else "nothing"
        return compiler.refuse(f"{place}[0]", f"needs a path or a directive, not {found}", 'write "$.properties.products"')
    root = compile_path(operand[0]) if isinstance(operand[0], str) else resolver_of(compiler.compile(operand[0], f"{place}[0]"))
    shape = operand[1] if len(operand) > 1 else None
    if not isinstance(shape, Mapping) or not shape:
        return root
    shaped = resolver_of(compiler.compile(shape, f"{place}[1]"))

    def resolve(payload: Any) -> Any:
        value = root(payload)
        if isinstance(value, Mapping):
            value = [value]
        elif not isinstance(value, list):
            return value
        made = [shaped(item) for item in value]
        # ABSENT is looked for by identity: what was made may compare slowly.
        return [None if item is ABSENT else item for item in made]

    return resolve


def _compile_flatten(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    given = Operand(compiler, operand, place, ("value", "separator", "omitArrays"))
    if given.needs("separator", 'write "separator": "."'):
        separator = given.text("separator", 1, 1_000)
    given.needs("value", 'write what is flattened, as in "value": {"@path": "$.properties"}')
    if not given.is_good:
        return Constant(None)
    source, omit = resolver_of(given.node("value")), is_truthy(given.value.get("omitArrays"))

    def resolve(payload: Any) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        _flatten(source(payload), "", separator, omit, flat)
        return flat

    return resolve


def _flatten(value: Any, prefix: str, separator: str, omit_lists: bool, flat: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, list) and not omit_lists:
        items = enumerate(value)
    else:
        if value is not ABSENT:
            flat[prefix] = value
        return
    for key, item in items:
        _flatten(item, f"{prefix}{separator}{key}" if prefix else str(key), separator, omit_lists, flat)


def _compile_merge(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    given = Operand(compiler, operand, place, ("objects", "direction"))
    from_left = given.word("direction", ("right", "left")) == "left"
    objects = given.value.get("objects") if given.needs("objects", 'write "objects": [{...}, {...}]') else []
    if not isinstance(objects, list | tuple):
        return compiler.refuse(f"{place}.objects", f"needs a list of objects, not {kind_of(objects)}")
    nodes = []
    for index, one in enumerate(objects):
        here = f"{place}.objects[{index}]"
        if not isinstance(one, Mapping):
            compiler.refuse(here, f"needs an object or a directive, not {kind_of(one)}")
        nodes.append(resolver_of(compiler.compile(one, here, keep=True)))
    if from_left:
        nodes.reverse()

    def resolve(payload: Any) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for node in nodes:
            value = node(payload)
            if isinstance(value, Mapping):
                merged.update(value)
            elif isinstance(value, list | str):
                merged.update({str(index): item for index, item in enumerate(value)})
        if not keep:
            for key in [key for key, value in merged.items() if value is ABSENT]:
                del merged[key]
        return merged

    return resolve


def _compile_transform(compiler: Compiler, operand: Any, place: str, keep: bool) -> Node:
    given = Operand(compiler, operand, place, ("apply", "mapping"))
    for key in ("apply", "mapping"):
        if given.needs(key) and not isinstance(given.value[key], Mapping):
            given.refuse(key, f"needs an object or a directive, not {kind_of(given.value[key])}")
    apply, shape = resolver_of(given.node("apply")), resolver_of(given.node("mapping", keep=keep))

    def resolve(payload: Any) -> Any:
        if not isinstance(payload, Mapping):
            raise PayloadError(f"@transform needs an object to work on, not {kind_of(payload)}")
        return shape(apply(payload))

    return resolve


Directive = Callable[[Compiler, Any, str, bool], Node]

DIRECTIVES: Final[dict[str, Directive]] = {
    "@path": _compile_path,
    "@template": _compile_template,
    "@literal": _compile_literal,
    "@if": _compile_if,
    "@case": _compile_case,
    "@replace": _compile_replace,
    "@arrayPath": _compile_array_path,
    "@flatten": _compile_flatten,
    "@json": _compile_json,
    "@merge": _compile_merge,
    "@transform": _compile_transform,
    "@excludeWhenNull": _compile_exclude,
    "@liquid": _compile_liquid,
}
