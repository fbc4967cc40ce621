"""FQL: the dialect of subscription triggers, compiled once into closures over an event (destinations page 1.2).

Promises: everything the reference calls invalid is refused with the position and a remedy, and so is what it misreads
without a word (mixed `and`/`or` on one level, `AND`, `==`, single quotes), since that only loses data.

The tokenizer and the grammar's frame (clauses, groups, keywords) know no field and no function; both come from a `Dialect`,
so that the dialect of filters can stand beside the one of triggers. A person's orders (which dead letters, which events of a
replay) take the triggers' dialect under a name of their own.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, NoReturn

from relay.base.event import Event
from relay.errors import ConfigError, Problem

Test = Callable[[Event], bool]
Read = Callable[[Event], Any]

MAX_CHARS: Final = 5 * 1024
"""Segment's limit of a statement."""


class Token(NamedTuple):
    """`kind`: `string number word op ( ) , ! end`; `at` counts from 1."""

    kind: str
    text: str
    at: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a statement may name. `fields`: how a root is read; True when a path follows the root."""

    name: str
    fields: Mapping[str, bool]
    functions: Mapping[str, Callable[[Read, Token, bool], Test]]


def compile_trigger(text: str) -> Test:
    """The test of a trigger; raises ConfigError with position and remedy."""
    return _fast_types(text) or _compile(text, TRIGGER)


def compile_filter(text: str) -> Test:
    """The same for the filter of an order; its errors speak of a filter."""
    return _fast_types(text) or _compile(text, FILTER)


def _compile(text: str, dialect: "Dialect") -> Test:
    try:
        return Parser(text, dialect).parse()
    except ConfigError as error:
        raise ConfigError([replace(one, message=f"{dialect.name}, {one.message}") for one in error.problems]) from None


def match_trigger(trigger: str, event: Mapping[str, Any]) -> bool:
    """Whether a message, as Segment shapes it, matches a trigger."""
    return compile_trigger(trigger)(Event("", "", event.get("type") or "", "", "", "", 0, event, b""))


# --- tokens ------------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""(?P<space>\s+)|"(?P<string>[^"\\]*(?:\\.[^"\\]*)*)"|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"""
    r"""|(?P<op>!=|<=|>=|==|=|<|>)|(?P<mark>[(),!])|(?P<word>(?:[\w$.-]|\\.)+)""",
    re.DOTALL,
)
_STRANGE: Final = {
    "'": ("single quotes are not read", 'put the text in "double quotes"'),
    '"': ("a text has no end", 'close it with "'),
    "&": ('"&&" is not read', 'write "and"'),
    "|": ('"||" is not read', 'write "or"'),
    "[": ("lists, and an index into one, are not read", "write one comparison for each value, or match on a field that is in no list"),
}
_WORDS_ELSEWHERE: Final = {
    "AND": 'write "and" in lower case',
    "OR": 'write "or" in lower case',
    "NOT": 'write "!=" or "!contains(...)"',
    "not": 'write "!=" or "!contains(...)"',
    "in": 'write one comparison for each value, joined by "or" in parentheses',
}


def tokenize(text: str) -> list[Token]:
    """The tokens of a statement, the last one of kind `end`; raises ConfigError."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            message, remedy = _STRANGE.get(text[at], (f'"{text[at]}" is not read here', ""))
            fail(at + 1, message, remedy)
        kind, found = match.lastgroup or "", match[match.lastgroup or 0]
        if kind == "string":
            tokens.append(Token("string", match[0], at + 1, re.sub(r"\\(.)", r"\1", found, flags=re.DOTALL)))
        elif kind == "number":
            tokens.append(Token("number", found, at + 1, float(found)))
        elif kind != "space":
            tokens.append(Token(found if kind == "mark" else kind, found, at + 1))
        at = match.end()
    tokens.append(Token("end", "the end", len(text) + 1))
    return tokens


def fail(at: int, message: str, remedy: str = "") -> NoReturn:
    """Refuse a statement; `at` counts characters from 1."""
    raise ConfigError([Problem(f"character {at}: {message}", None, remedy)])


# --- the frame of the grammar ------------------------------------------------------------------------------------------------


class Parser:
    """Reads one statement of a dialect; a clause becomes a closure as soon as it is read."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        if len(text) > MAX_CHARS:
            fail(MAX_CHARS + 1, f"a {dialect.name} is at most {MAX_CHARS} characters long", "split it into two")
        if not text.strip():
            fail(1, f"the {dialect.name} is empty and would never match", 'write a condition, such as type = "track"')
        self.dialect = dialect
        self.tokens = tokenize(text)
        self.index = 0

    def parse(self) -> Test:
        test = self._level(grouped=False)
        token = self.peek()
        if token.kind != "end":
            remedy = _WORDS_ELSEWHERE.get(token.text, 'join conditions with "and" or "or"')
            fail(token.at, f"{_shown(token)} stands where the {self.dialect.name} should end", remedy)
        return test

    def peek(self) -> Token:
        return self.tokens[self.index]

    def take(self, kind: str = "", wanted: str = "") -> Token:
        token = self.tokens[self.index]
        if kind and token.kind != kind:
            fail(token.at, f"expected {wanted or kind}, found {_shown(token)}")
        self.index += token.kind != "end"
        return token

    def _level(self, *, grouped: bool) -> Test:
        tests = [self._clause(grouped=grouped)]
        keyword = ""
        while self.peek().text in ("and", "or") and self.peek().kind == "word":
            token = self.take()
            if keyword and token.text != keyword:
                fail(
                    token.at,
                    f'the {self.dialect.name} mixes "and" and "or" on one level',
                    "put parentheses around the conditions that belong together",
                )
            keyword = token.text
            tests.append(self._clause(grouped=grouped))
        return tests[0] if len(tests) == 1 else _all_of(tests) if keyword == "and" else _any_of(tests)

    def _clause(self, *, grouped: bool) -> Test:
        token = self.take()
        if token.kind == "(":
            if grouped:
                fail(token.at, "parentheses inside parentheses are not read", "use one level of parentheses")
            test = self._level(grouped=True)
            self.take(")", 'a closing ")"')
            return test
        if token.kind == "!":
            name = self.take("word", "a function")
            if self.peek().kind != "(":
                fail(name.at, f'"!" stands before a function, not before {_shown(name)}', 'compare with "!=" instead')
            return self._function(name, negated=True)
        if token.kind != "word":
            fail(token.at, f"expected a condition, found {_shown(token)}", 'write a field first, as in type = "track"')
        if self.peek().kind == "(" and token.text in self.dialect.functions:
            return self._function(token, negated=False)
        return self._comparison(token)

    def _function(self, name: Token, *, negated: bool) -> Test:
        build = self.dialect.functions.get(name.text)
        if build is None:
            fail(name.at, f'"{name.text}" is no function', f"functions are {', '.join(self.dialect.functions)}")
        self.take("(")
        read = self.field(self.take("word", "a field"))
        self.take(",", 'a ","')
        text = self.take("string", 'a text in "double quotes"')
        self.take(")", 'a closing ")"')
        return build(read, text, negated)

    def field(self, token: Token) -> Read:
        """The reader of a field; refuses roots that the dialect does not have."""
        path = tuple(re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:[^.\\]|\\.)+", token.text))
        root = path[0] if path else ""
        if root not in self.dialect.fields or token.text.startswith(".") or token.text.endswith(".") or ".." in token.text:
            names = [name + (".<path>" if deep else "") for name, deep in self.dialect.fields.items()]
            fail(token.at, f'"{token.text}" is no field of a {self.dialect.name}', _WORDS_ELSEWHERE.get(token.text, f"fields are {', '.join(names)}"))
        if self.dialect.fields[root] != (len(path) > 1):
            fail(token.at, f'"{root}" {"needs a path, as in " + root + ".plan" if self.dialect.fields[root] else "has no parts"}')
        for part in path:
            if part.isdigit():
                fail(token.at, f'"{token.text}" looks into a list, which never matches', _STRANGE["["][1])
        return _reader(path)

    def _comparison(self, token: Token) -> Test:
        read = self.field(token)
        op = self.take()
        if op.kind != "op" or op.text == "==":
            remedy = 'write "="' if op.text == "==" else _WORDS_ELSEWHERE.get(op.text, "comparisons are =, !=, <, <=, >, >=")
            fail(op.at, f"expected a comparison, found {_shown(op)}", remedy)
        value = self.take()
        if value.kind in ("string", "number"):
            return _compare(read, op.text, value.value)
        if value.kind == "word" and value.text in _CONSTANTS:
            if op.text not in ("=", "!="):
                fail(value.at, f'"{op.text}" compares numbers, found {value.text}', "write a number")
            return _compare(read, op.text, _CONSTANTS[value.text])
        remedy = f'write "{value.text}" in double quotes' if value.kind == "word" else 'values are "text", numbers, true, false, null'
        fail(value.at, f"expected a value, found {_shown(value)}", remedy)


_CONSTANTS: Final = {"true": True, "false": False, "null": None}


def _shown(token: Token) -> str:
    return token.text if token.kind in ("end", "string") else f'"{token.text}"'


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda event: first(event) and second(event)
    return lambda event: all(test(event) for test in tests)


def _any_of(tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda event: first(event) or second(event)
    return lambda event: any(test(event) for test in tests)


# --- the dialect of triggers -------------------------------------------------------------------------------------------------


def _reader(path: tuple[str, ...]) -> Read:
    """An absent field reads as None: triggers cannot tell it from null."""
    if path == ("type",):
        return lambda event: event.type
    root = path[0]
    if len(path) == 1:
        return lambda event: event.payload.get(root)
    keys = path[1:]

    def read(event: Event) -> Any:
        value = event.payload.get(root)
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    return read


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compare(read: Read, op: str, wanted: Any) -> Test:
    if wanted is None:
        return (lambda event: read(event) is None) if op == "=" else (lambda event: read(event) is not None)
    if isinstance(wanted, bool):
        # The reference compares `!= true` with the text "true", so it holds for the boolean as well.
        text = "true" if wanted else "false"
        return (lambda event: read(event) is wanted) if op == "=" else (lambda event: read(event) != text)
    if isinstance(wanted, str):
        if op in ("=", "!="):
            return (lambda event: read(event) == wanted) if op == "=" else (lambda event: read(event) != wanted)
        # Order is for numbers; a text that holds one counts as one, any other never matches.
        number = re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", wanted)
        wanted = float(wanted) if number else float("nan")
    holds = _ORDERS[op]

    def test(event: Event) -> bool:
        value = read(event)
        return _is_number(value) and holds(value, wanted)

    return test


_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": lambda value, wanted: bool(value == wanted),
    "!=": lambda value, wanted: bool(value != wanted),
    "<": lambda value, wanted: bool(value < wanted),
    "<=": lambda value, wanted: bool(value <= wanted),
    ">": lambda value, wanted: bool(value > wanted),
    ">=": lambda value, wanted: bool(value >= wanted),
}


def _on_text(read: Read, holds: Callable[[str], bool], negated: bool) -> Test:
    """A function on something that is no text is false, negated or not."""

    def test(event: Event) -> bool:
        value = read(event)
        return isinstance(value, str) and holds(value) is not negated

    return test


def _contains(read: Read, text: Token, negated: bool) -> Test:
    wanted: str = text.value
    return _on_text(read, lambda value: wanted in value, negated)


def _match(read: Read, text: Token, negated: bool) -> Test:
    pattern: str = text.value
    if pattern.count("*") != 1 or not (pattern.startswith("*") or pattern.endswith("*")):
        both = pattern.startswith("*") and pattern.endswith("*")
        remedy = 'use contains(field, "text")' if both else 'write "prefix*" or "*suffix", or compare with ='
        fail(text.at, "match takes one * at the beginning or at the end", remedy)
    part = pattern.strip("*")
    if pattern.endswith("*"):
        return _on_text(read, lambda value: value.startswith(part), negated)
    return _on_text(read, lambda value: value.endswith(part), negated)


TRIGGER: Final = Dialect(
    "trigger",
    {"type": False, "event": False, "name": False, "userId": False, "context": True, "properties": True, "traits": True},
    {"contains": _contains, "match": _match},
)

FILTER: Final = replace(TRIGGER, name="filter")

_ONE_TYPE = r'type\s*=\s*"(\w+)"'
_TYPES = re.compile(rf"\s*{_ONE_TYPE}(?:\s+or\s+{_ONE_TYPE})*\s*")


def _fast_types(text: str) -> Test | None:
    """`type = "a" or type = "b"`, the trigger of almost everything that takes all events: one look into a set."""
    if len(text) > MAX_CHARS or not _TYPES.fullmatch(text):
        return None
    types = frozenset(re.findall(_ONE_TYPE, text))
    if len(types) == 1:
        (only,) = types
        return lambda event: event.type == only
    return lambda event: event.type in types
