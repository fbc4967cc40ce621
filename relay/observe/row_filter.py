"""Which live rows a viewer wants: the filter as a tree, checked, and compiled into one predicate. The text form is `observe.filter_bar`.

A tree is `{"all": [..]}`, `{"any": [..]}`, `{"not": tree}` or a leaf `{"f": field, "op": op, "v": value}`. It comes from the wire, hence
the bounds. Text is compared without regard to case. In one `all`, `state` is asked of the destinations that `to` names there.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, Protocol

from relay.errors import FilterError

DEPTH_MAX: Final = 8
LEAVES_MAX: Final = 64
VALUE_MAX_CHARS: Final = 512
LIST_MAX: Final = 50
SEARCHED_BYTES: Final = 32_768
"""How much of an event's raw JSON a text search looks at."""

OPS: Final = ("eq", "in", "glob", "has", "text", "gt", "lt")
ROOTS: Final = ("properties", "traits", "context", "integrations")
"""A field that starts with one of these and a dot is a path into the message."""
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "type": ("track", "page", "screen", "identify", "group", "alias"),
    "state": ("pending", "sending", "retry", "parked", "held", "delivered", "filtered", "blocked", "dead", "expired", "discarded"),
    "verdict": ("accepted", "rejected", "duplicate", "suppressed", "blocked"),
}
"""Fields that take these words only."""
NUMBERS: Final[Mapping[str, str]] = {"plan": "plan", "bytes": "bytes"}
TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "type": ("type",), "source": ("source",), "event": ("name",), "user": ("user_id", "anonymous_id"), "id": ("message_id", "event_id"),
    "verdict": ("verdict",), "code": ("code",),
}  # fmt: skip
"""Field to the keys of a row; one that matches is enough."""
FIELDS: Final = (*TEXTS, "to", "state", *NUMBERS, "has", "text")

Ast = dict[str, Any]
Row = Mapping[str, Any]


class Material(Protocol):
    """What a predicate may look at beside the row."""

    @property
    def body(self) -> bytes:
        """The raw JSON; empty when it is no longer at hand."""
        ...

    @property
    def payload(self) -> Mapping[str, Any]: ...


Predicate = Callable[[Row, Material], bool]
Check = Callable[[str], bool]


class RowFilter:
    """One compiled filter. Raises FilterError for a tree that is none.

    `through`: what is asked of an event's body is asked of `through(material)` instead, for viewers who may not see all of it.
    """

    def __init__(self, ast: Any, *, through: Callable[[Material], Material] | None = None) -> None:
        count = _check(ast, 0)
        if count > LEAVES_MAX:
            raise FilterError(f"the filter has more than {LEAVES_MAX} terms")
        fields = set(_fields(ast))
        self.ast: Ast = ast
        self.everything = count == 0
        self.follows_state = "state" in fields
        """Whether a row may come to match later, by a change of its delivery state."""
        matches = _compile(ast)
        self.matches: Predicate = matches
        if through and any(field in ("text", "has") or "." in field for field in fields):
            self.matches = lambda row, material: matches(row, through(material))


EVERYTHING: Final[Ast] = {"all": []}


def nearest(word: str, known: Sequence[str]) -> str:
    """`, did you mean 'event'?`, or nothing when no known word is close."""
    close = get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else ""


def check_field(field: str) -> None:
    """Raises FilterError for a field that does not exist."""
    root, dot, path = field.partition(".")
    if field in FIELDS or (dot and root in ROOTS and path):
        return
    if dot and root not in ROOTS:
        raise FilterError(f"unknown field '{field}'{nearest(root, ROOTS)}")
    raise FilterError(f"unknown field '{field}'{nearest(field, FIELDS)}")


def check_word(field: str, word: str) -> None:
    """Raises FilterError when the field takes certain words and this is none of them."""
    known = WORDS.get(field)
    if known and word.lower() not in known:
        raise FilterError(f"unknown {field} '{word}'{nearest(word, known) or ', one of ' + ', '.join(known)}")


# check


def _check(node: Any, depth: int) -> int:
    """How many leaves the tree has."""
    if not isinstance(node, dict):
        raise FilterError("a filter is an object")
    if depth > DEPTH_MAX:
        raise FilterError(f"the filter is nested deeper than {DEPTH_MAX} levels")
    if len(node) == 1:
        ((key, value),) = node.items()
        if key == "not":
            return _check(value, depth + 1)
        if key in ("all", "any"):
            if not isinstance(value, list) or len(value) > LEAVES_MAX:
                raise FilterError(f"'{key}' is a list of at most {LEAVES_MAX} filters")
            return sum(_check(one, depth + 1) for one in value)
    if set(node) != {"f", "op", "v"}:
        raise FilterError("a filter is {all}, {any}, {not} or {f, op, v}")
    _check_leaf(node["f"], node["op"], node["v"])
    return 1


def _check_leaf(field: Any, op: Any, value: Any) -> None:
    if not isinstance(field, str) or len(field) > VALUE_MAX_CHARS:
        raise FilterError("a field is a text")
    check_field(field)
    if op not in OPS:
        raise FilterError(f"unknown op '{str(op)[:40]}'{nearest(str(op)[:40], OPS)}")
    if (op == "has") != (field == "has") or (op == "text") != (field == "text"):
        raise FilterError(f"op '{op}' does not go with field '{field}'")
    if op in ("gt", "lt"):
        if not _is_number(value):
            raise FilterError(f"'{field}' is compared with a number")
        if field not in NUMBERS and "." not in field:
            raise FilterError(f"'{field}' is no number")
        return
    values = value if op == "in" else [value]
    if not isinstance(values, list) or not 0 < len(values) <= LIST_MAX:
        raise FilterError(f"'in' takes a list of 1 to {LIST_MAX} values")
    for one in values:
        _check_value(field, op, one)


def _check_value(field: str, op: str, value: Any) -> None:
    if field in NUMBERS:
        if op == "glob" or not _is_number(value):
            raise FilterError(f"'{field}' is compared with a number")
        return
    if not isinstance(value, str | bool) and not _is_number(value):
        raise FilterError(f"the value of '{field}' is no text")
    text = _plain(value)
    if not text or len(text) > VALUE_MAX_CHARS:
        raise FilterError(f"a value has 1 to {VALUE_MAX_CHARS} characters")
    if op != "glob":
        check_word(field, text)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fields(node: Ast) -> list[str]:
    if "f" in node:
        return [node["f"]]
    if "not" in node:
        return _fields(node["not"])
    children: list[Ast] = node["all"] if "all" in node else node["any"]
    return [field for one in children for field in _fields(one)]


# compile


def _compile(node: Ast) -> Predicate:
    if "not" in node:
        inner = _compile(node["not"])
        return lambda row, material: not inner(row, material)
    if "any" in node:
        parts = [_compile(one) for one in node["any"]]
        return lambda row, material: any(part(row, material) for part in parts)
    if "all" in node:
        return _compile_all(node["all"])
    return _compile_leaf(node["f"], node["op"], node["v"])


def _compile_all(nodes: Sequence[Ast]) -> Predicate:
    """`to` and `state` become one question: is there a destination that is named, and in that state?"""
    to = [_check_of(one["op"], one["v"]) for one in nodes if one.get("f") == "to"]
    states = [(_check_of(leaf["op"], leaf["v"]), leaf is one) for one in nodes if (leaf := one.get("not", one)).get("f") == "state"]
    if to and states:
        nodes = [one for one in nodes if one.get("f") != "to" and one.get("not", one).get("f") != "state"]
    parts = [_compile(one) for one in nodes]
    if to and states:
        parts.append(lambda row, _: any(_at(slug, state, to, states) for slug, state in row["to"].items()))
    if len(parts) == 1:
        return parts[0]
    return lambda row, material: all(part(row, material) for part in parts)


def _at(slug: str, state: str, to: Sequence[Check], states: Sequence[tuple[Check, bool]]) -> bool:
    return all(check(slug) for check in to) and all(check(state) is wanted for check, wanted in states)


def _compile_leaf(field: str, op: str, value: Any) -> Predicate:
    if field == "text":
        return _text_search(_plain(value))
    if field == "has":
        path = str(value).split(".")
        return lambda _, material: found_at(material.payload, path) is not None
    if field in NUMBERS:
        compare, key = _number_check(op, value), NUMBERS[field]
        return lambda row, _: compare(row[key])
    if "." in field:
        return _path_leaf(field.split("."), op, value)
    check = _check_of(op, value)
    if field == "to":
        return lambda row, _: any(check(slug) for slug in row["to"])
    if field == "state":
        return lambda row, _: any(check(state) for state in row["to"].values())
    keys = TEXTS[field]
    return lambda row, _: any(check(row[key] or "") for key in keys)


def _path_leaf(path: Sequence[str], op: str, value: Any) -> Predicate:
    if op in ("gt", "lt"):
        compare = _number_check(op, value)
        return lambda _, material: _is_number(found := found_at(material.payload, path)) and compare(found)
    check = _check_of(op, value)
    return lambda _, material: (found := found_at(material.payload, path)) is not None and check(_plain(found))


def _check_of(op: str, value: Any) -> Check:
    if op == "glob":
        return _glob(_plain(value).lower())
    wanted = frozenset(_plain(one).lower() for one in (value if op == "in" else [value]))
    return lambda text: text.lower() in wanted


def _glob(pattern: str) -> Check:
    """`*` stands for any text. Part after part from the left: a regular expression would backtrack for ever on a hostile pattern."""
    head, *middle = pattern.split("*")
    tail = middle.pop() if middle else None

    def check(text: str) -> bool:
        text = text.lower()
        if tail is None:
            return text == head
        end, position = len(text) - len(tail), len(head)
        if end < position or not text.startswith(head) or not text.endswith(tail):
            return False
        for part in middle:
            found = text.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return True

    return check


def _number_check(op: str, value: Any) -> Callable[[float], bool]:
    if op == "gt":
        return lambda number: bool(number > value)
    if op == "lt":
        return lambda number: bool(number < value)
    wanted = value if op == "in" else [value]
    return lambda number: number in wanted


def _text_search(text: str) -> Predicate:
    """Case is ignored; only text beyond ASCII needs the body decoded."""
    if text.isascii():
        needle = text.lower().encode()
        return lambda _, material: needle in material.body[:SEARCHED_BYTES].lower()
    wide = text.lower()
    return lambda _, material: wide in material.body[:SEARCHED_BYTES].decode("utf-8", "ignore").lower()


def found_at(value: Any, path: Sequence[str]) -> Any:
    """What lies at a path of keys (or list positions); None: nothing does."""
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and len(key) < 6 and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _plain(value: Any) -> str:
    """A value as the text that a person would type for it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)
