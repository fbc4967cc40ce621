"""The dialect of subscription triggers (destinations page 1.2): flat conditions over a few fields.

Everything the reference calls invalid is refused, and so is what it misreads without a word (mixed `and`/`or` on one level, `AND`,
`==`, single quotes), since that only loses data.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.base.event import Event
from relay.kit.fql_parser import NO_LISTS, Call, Compare, Form, Group, Level, Literal, Node, Not, Path, fail, parse, refuse_mixed
from relay.kit.glob import compile_glob
from relay.kit.js import ABSENT, is_number, number_of, print_number
from relay.kit.paths import walk

Test = Callable[[Event], bool]
Read = Callable[[Event], Any]

FORM: Final = Form("trigger", loose=False)
FIELDS: Final[Mapping[str, bool]] = {
    "type": False, "event": False, "name": False, "userId": False, "context": True, "properties": True, "traits": True,
}  # fmt: skip
"""The roots; True when a path follows."""
FUNCTIONS: Final = ("contains", "match")


def compile_text(text: str) -> Test:
    """The test of a trigger; raises ConfigError with position and remedy."""
    return _condition(parse(text, FORM), grouped=False)


def types_only(text: str) -> Test:
    """The test of a trigger with every condition met that is not on the type; raises ConfigError as `compile_text` does."""
    compile_text(text)
    return _on_types(parse(text, FORM))


def _on_types(node: Node) -> Test:
    if isinstance(node, Level):
        tests = [_on_types(part) for part in node.parts]
        return all_of(tests) if node.keyword == "and" else any_of(tests)
    if isinstance(node, Group):
        return _on_types(node.inner)
    called = node.inner if isinstance(node, Not) else node
    field = called.left if isinstance(called, Compare) else called.arguments[0] if isinstance(called, Call) else called
    return _condition(node, grouped=False) if isinstance(field, Path) and field.text == "type" else _met


def _met(event: Event) -> bool:
    return True


def all_of(tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda event: first(event) and second(event)
    return lambda event: all(test(event) for test in tests)


def any_of(tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda event: first(event) or second(event)
    return lambda event: any(test(event) for test in tests)


def _condition(node: Node, *, grouped: bool) -> Test:
    if isinstance(node, Level):
        inner = next((part for part in node.parts if isinstance(part, Level)), None)
        if inner:
            refuse_mixed(node, inner)
        tests = [_condition(part, grouped=grouped) for part in node.parts]
        return all_of(tests) if node.keyword == "and" else any_of(tests)
    if isinstance(node, Group):
        if grouped:
            fail(node.at, "parentheses inside parentheses are not read", "use one level of parentheses")
        return _condition(node.inner, grouped=True)
    if isinstance(node, Not):
        if isinstance(node.inner, Group):
            _condition(node.inner, grouped=grouped)  # what is wrong within comes first
        if not isinstance(node.inner, Call):
            fail(node.inner.at, '"!" stands before a function or parentheses, and before nothing else', 'compare with "!=", or write "!(...)"')
        return _function(node.inner, negated=True)
    if isinstance(node, Call):
        return _function(node, negated=False)
    if isinstance(node, Compare):
        return _comparison(node)
    if isinstance(node, Path):
        _read(node)
        return fail(node.at, f'"{node.text}" stands without a comparison', f'compare it, as in {node.text} = "text", or {node.text} != null')
    return fail(node.at, "expected a condition, found a value", 'write a field first, as in type = "track"')


def _read(node: Node) -> Read:
    """The reader of a field; an absent one reads as None: triggers cannot tell it from null."""
    if not isinstance(node, Path):
        fail(node.at, "expected a field", f"fields are {_names()}")
    root = node.keys[0]
    if root not in FIELDS:
        near = difflib.get_close_matches(root, FIELDS, n=1, cutoff=0.7)
        fail(node.at, f'"{node.text}" is no field of a trigger', f'{f"""did you mean "{near[0]}"? """ if near else ""}fields are {_names()}')
    if FIELDS[root] != (len(node.keys) > 1):
        fail(node.at, f'"{root}" {"needs a path, as in " + root + ".plan" if FIELDS[root] else "has no parts"}')
    if any(key.isdigit() for key in node.keys):
        fail(node.at, f'"{node.text}" looks into a list, which never matches', NO_LISTS)
    if root == "type":
        return lambda event: event.type
    if len(node.keys) == 1:
        return lambda event: event.payload.get(root)
    keys = node.keys[1:]
    if len(keys) == 1:
        (key,) = keys

        def read_one(event: Event) -> Any:
            value = event.payload.get(root)
            return value.get(key) if type(value) is dict else _walked(value, keys)

        return read_one
    return lambda event: _walked(event.payload.get(root), keys)


def _walked(value: Any, keys: tuple[str, ...]) -> Any:
    found = walk(value, keys)
    return None if found is ABSENT else found


def _names() -> str:
    return ", ".join(name + (".<path>" if deep else "") for name, deep in FIELDS.items())


# --- comparisons -------------------------------------------------------------------------------------------------------------

ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": lambda value, wanted: bool(value < wanted),
    "<=": lambda value, wanted: bool(value <= wanted),
    ">": lambda value, wanted: bool(value > wanted),
    ">=": lambda value, wanted: bool(value >= wanted),
}


def _comparison(node: Compare) -> Test:
    read = _read(node.left)
    if node.op == "in":
        fail(node.op_at, '"in" is not read in a trigger', 'write one comparison for each value, joined by "or" in parentheses')
    right = node.right
    if isinstance(right, Path):
        fail(right.at, f'expected a value, found "{right.text}"', f'write "{right.text}" in double quotes')
    if not isinstance(right, Literal):
        fail(right.at, "expected a value", 'values are "text", numbers, true, false, null')
    wanted = right.value
    if node.op in ORDERS:
        if wanted is None or isinstance(wanted, bool):
            fail(right.at, f'"{node.op}" compares numbers, found {right.text}', "write a number")
        # Order is for numbers; a text that holds one counts as one, any other never matches.
        number = number_of(wanted) if isinstance(wanted, str) else wanted
        holds = ORDERS[node.op]
        return lambda event: number is not None and is_number(value := read(event)) and holds(value, number)
    assert isinstance(node.left, Path)
    if not FIELDS[node.left.keys[0]] and is_number(wanted):
        # Names and ids are texts: a number counts as the text that it prints.
        wanted = print_number(wanted)
    return _equals(read, wanted) if node.op == "=" else _differs(read, wanted)


def _equals(read: Read, wanted: Any) -> Test:
    if wanted is None or isinstance(wanted, bool):
        return lambda event: read(event) is wanted
    if isinstance(wanted, str):
        return lambda event: bool(read(event) == wanted)
    return lambda event: is_number(value := read(event)) and bool(value == wanted)


def _differs(read: Read, wanted: Any) -> Test:
    if wanted is None:
        return lambda event: read(event) is not None
    if isinstance(wanted, bool):
        # The reference compares `!= true` with the text "true", so it holds for the boolean as well.
        wanted = "true" if wanted else "false"
    if isinstance(wanted, str):
        return lambda event: bool(read(event) != wanted)
    return lambda event: is_number(value := read(event)) and bool(value != wanted)


# --- functions ---------------------------------------------------------------------------------------------------------------


def _function(node: Call, *, negated: bool) -> Test:
    """On something that is no text a function is false, negated or not; but a call without a name has none that could contain or match."""
    if node.name in ("and", "or"):
        fail(node.at, f'"{node.name}" needs a space after it', f'write "{node.name} (..."')
    if node.name not in FUNCTIONS:
        near = difflib.get_close_matches(node.name, FUNCTIONS, n=1, cutoff=0.7)
        fail(node.at, f'"{node.name}" is no function of a trigger', f'did you mean "{near[0]}"?' if near else f"functions are {', '.join(FUNCTIONS)}")
    if len(node.arguments) != 2:
        fail(node.at, f"{node.name} takes a field and a text", f'write {node.name}(event, "text")')
    read, text = _read(node.arguments[0]), node.arguments[1]
    if not isinstance(text, Literal) or not isinstance(text.value, str):
        fail(text.at, "expected a text", 'put it in "double quotes"')
    holds = _containing(text.value) if node.name == "contains" else _matching(text)

    field = node.arguments[0]
    none = negated and isinstance(field, Path) and not FIELDS[field.keys[0]]

    def test(event: Event) -> bool:
        value = read(event)
        return holds(value) is not negated if isinstance(value, str) else none and value is None

    return test


def _containing(wanted: str) -> Callable[[str], bool]:
    return lambda value: wanted in value


def _matching(text: Literal) -> Callable[[str], bool]:
    pattern: str = text.value
    if any(letter in pattern for letter in "?[\\"):
        return compile_glob(pattern)  # what a filter says with them; the reference would look for the letters themselves
    if pattern.count("*") != 1 or not (pattern.startswith("*") or pattern.endswith("*")):
        both = pattern.startswith("*") and pattern.endswith("*")
        remedy = 'use contains(field, "text")' if both else 'write "prefix*" or "*suffix", or compare with ='
        fail(text.at, "match takes one * at the beginning or at the end", remedy)
    part = pattern.strip("*")
    return (lambda value: value.startswith(part)) if pattern.endswith("*") else (lambda value: value.endswith(part))
