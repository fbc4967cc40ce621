"""FQL as text: tokens and the tree of a statement. One parser reads both dialects; what a statement means is theirs.

Promises: a refusal tells the character (from 1) and, where there is one, the remedy; nothing else is raised.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

from relay.errors import ConfigError, Problem

MAX_CHARS: Final = 5 * 1024
"""Segment's limit of a statement."""
MAX_DEPTH: Final = 50


@dataclass(frozen=True, slots=True)
class Form:
    """How a dialect is written. `loose`: single quotes, `==` and `AND`/`OR` are read; else `\\"` in a text is a quote."""

    name: str
    loose: bool


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a statement; `at` is its first character, from 1."""

    at: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class Path(Node):
    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Items(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    inner: Node


@dataclass(frozen=True, slots=True)
class Group(Node):
    inner: Node


@dataclass(frozen=True, slots=True)
class Level(Node):
    """`keyword` is `and` or `or`; `keyword_at` is where it first stands."""

    keyword: str
    keyword_at: int
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare(Node):
    left: Node
    op: str
    op_at: int
    right: Node


class Token(NamedTuple):
    """`kind`: `string number word op ( ) [ ] , ! end`; `at` counts from 1; `value` of a word: whether it may be a keyword here."""

    kind: str
    text: str
    at: int
    value: Any = None


def fail(at: int, message: str, remedy: str = "") -> NoReturn:
    """Refuse a statement; `at` counts characters from 1."""
    raise ConfigError([Problem(f"character {at}: {message}", None, remedy)])


def shown(token: Token) -> str:
    return token.text if token.kind in ("end", "string") else f'"{token.text}"'


MIXED_SHOWN_CHARS: Final = 300


def refuse_mixed(node: Level, inner: Level) -> NoReturn:
    """Refuse an `or` with `and` in it on one level (`inner` is the first), and show both ways to bracket it."""
    filtered = " or ".join(f"({written(part)})" if isinstance(part, Level) else written(part) for part in node.parts)
    alternatives: list[list[str]] = [[]]
    for part in node.parts:
        first, *rest = map(written, part.parts) if isinstance(part, Level) else [written(part)]
        alternatives[-1].append(first)
        alternatives += [[text] for text in rest]
    other = " and ".join(f"({' or '.join(texts)})" if len(texts) > 1 else texts[0] for texts in alternatives)
    both = f"write one of these, with parentheses: {filtered}; {other}"
    remedy = both if len(both) <= MIXED_SHOWN_CHARS else "put parentheses around the conditions that belong together"
    fail(max(node.keyword_at, inner.keyword_at), 'the trigger mixes "and" and "or" on one level', remedy)


def written(node: Node) -> str:
    """A node as text."""
    if isinstance(node, Literal | Path):
        return node.text
    if isinstance(node, Group):
        return f"({written(node.inner)})"
    if isinstance(node, Not):
        return f"!{written(node.inner)}"
    if isinstance(node, Compare):
        return f"{written(node.left)} {node.op} {written(node.right)}"
    if isinstance(node, Level):
        return f" {node.keyword} ".join(map(written, node.parts))
    items = ", ".join(map(written, node.arguments if isinstance(node, Call) else node.items if isinstance(node, Items) else ()))
    return f"{node.name}({items})" if isinstance(node, Call) else f"[{items}]"


# --- tokens ------------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<number>[+-]?\d+(?:\.\d+)?(?![\w.]))|(?P<op>!=|<=|>=|==|=|<|>)|(?P<mark>[(),!\[\]])"""
    r"""|(?P<word>(?:[A-Za-z_]|\\.)(?:[A-Za-z0-9_-]|\\.)*(?:\.(?:[A-Za-z0-9_-]|\\.)+)*)""",
    re.DOTALL | re.ASCII,
)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PLAIN = {'"': re.compile(r'"([^"]*)"'), "'": re.compile(r"'([^']*)'")}
_AFTER_KEYWORD: Final = " \t\r\n,])"
_AFTER_WORD: Final = " \t\r\n,]).(=!"
_STRANGE: Final = {
    "'": ("single quotes are not read", 'put the text in "double quotes"'),
    "&": ('"&&" is not read', 'write "and"'),
    "|": ('"||" is not read', 'write "or"'),
}
NO_LISTS: Final = "write one comparison for each value, or match on a field that is in no list"


def tokenize(text: str, form: Form) -> list[Token]:
    """The tokens of a statement, the last one of kind `end`; raises ConfigError."""
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        if text[at] == '"' or (form.loose and text[at] == "'"):
            match = (None if form.loose else _QUOTED.match(text, at)) or _PLAIN[text[at]].match(text, at)
            if match is None:
                fail(at + 1, "a text has no end", f"close it with {text[at]}")
            tokens.append(Token("string", match[0], at + 1, match[1] if form.loose else match[1].replace('\\"', '"')))
            at = match.end()
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            _refuse_character(text, at)
        kind, found, end = match.lastgroup or "", match[0], match.end()
        if kind == "number":
            tokens.append(Token("number", found, at + 1, float(found) if "." in found else int(found)))
        elif kind == "word":
            if end < len(text) and text[end] not in _AFTER_WORD:
                _refuse_after(text, end)
            tokens.append(Token("word", found, at + 1, end == len(text) or text[end] in _AFTER_KEYWORD))
        elif kind == "op" and not form.loose and found in ("!=", "<=", ">=") and text[end : end + 1].strip():
            fail(end + 1, f'"{found}" needs a space after it')
        elif kind == "mark" and found == "!" and not re.match(r"[A-Za-z_\\(]", text[end : end + 1]):
            fail(at + 1, '"!" needs a function or parentheses right after it', 'write "!contains(...)" or "!(...)"')
        elif kind != "space":
            tokens.append(Token(found if kind == "mark" else kind, found, at + 1))
        at = end
    tokens.append(Token("end", "the end", len(text) + 1))
    return tokens


def _refuse_after(text: str, at: int) -> NoReturn:
    letter = text[at]
    if letter in "<>":
        fail(at + 1, f'"{letter}" stands right after a name', "put a space before it")
    _refuse_character(text, at)


def _refuse_character(text: str, at: int) -> NoReturn:
    letter = text[at]
    if letter in _STRANGE:
        fail(at + 1, *_STRANGE[letter])
    if letter in "+-" or (letter.isascii() and letter.isdigit()):
        fail(at + 1, "a number is not read here", "write digits, with a fraction if needed: 12 or -0.5")
    if letter == "[":
        fail(at + 1, "an index into a list is not read", NO_LISTS)
    if letter == ".":
        fail(at + 1, '"." ends a name, or begins one', "write names joined by single dots, as in properties.plan")
    remedy = f"write \\{letter} if it is part of a name" if letter.isprintable() and letter not in '"[]' else ""
    fail(at + 1, f'"{letter}" is not read here', remedy)


# --- the tree ----------------------------------------------------------------------------------------------------------------

_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_WORDS_ELSEWHERE: Final = {
    "AND": 'write "and" in lower case',
    "OR": 'write "or" in lower case',
    "NOT": 'write "!=" or "!contains(...)"',
    "not": 'write "!=" or "!contains(...)"',
}


def parse(text: str, form: Form) -> Node:
    """The tree of a statement; raises ConfigError."""
    if len(text) > MAX_CHARS:
        fail(MAX_CHARS + 1, f"a {form.name} is at most {MAX_CHARS} characters long", "split it into two")
    if not text.strip():
        fail(1, f"the {form.name} is empty and would never match", 'write a condition, such as type = "track"')
    return _Parser(tokenize(text, form), form).statement()


class _Parser:
    def __init__(self, tokens: list[Token], form: Form) -> None:
        self.tokens, self.form = tokens, form
        self.index = self.depth = 0

    def statement(self) -> Node:
        node = self._level("or")
        token = self._peek()
        if token.kind != "end":
            if token.kind == "[":
                fail(token.at, "an index into a list is not read", NO_LISTS)
            remedy = _WORDS_ELSEWHERE.get(token.text, 'join conditions with "and" or "or"')
            if token.text in ("and", "or") and not token.value:
                remedy = f'put a space after "{token.text}"'
            fail(token.at, f"{shown(token)} stands where the {self.form.name} should end", remedy)
        return node

    def _peek(self) -> Token:
        return self.tokens[self.index]

    def _take(self, kind: str = "", wanted: str = "") -> Token:
        token = self.tokens[self.index]
        if kind and token.kind != kind:
            fail(token.at, f"expected {wanted}, found {shown(token)}")
        self.index += token.kind != "end"
        return token

    def _is_keyword(self, keyword: str) -> bool:
        token = self._peek()
        return token.value is True and token.kind == "word" and (token.text.lower() if self.form.loose else token.text) == keyword

    def _level(self, keyword: str) -> Node:
        def below() -> Node:
            return self._level("and") if keyword == "or" else self._negation()

        parts = [below()]
        keyword_at = 0
        while self._is_keyword(keyword):
            keyword_at = keyword_at or self._peek().at
            self._take()
            parts.append(below())
        return parts[0] if len(parts) == 1 else Level(parts[0].at, keyword, keyword_at, tuple(parts))

    def _negation(self) -> Node:
        token = self._peek()
        if token.kind != "!":
            return self._comparison()
        self._take()
        return Not(token.at, self._nested(token, self._negation))

    def _nested(self, token: Token, read: Any) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            fail(token.at, "the conditions are nested too deep", f"nest at most {MAX_DEPTH} times")
        node = read()
        self.depth -= 1
        return node

    def _comparison(self) -> Node:
        left = self._value("a condition", 'write a field first, as in type = "track"')
        op = self._peek()
        name = op.text if op.kind == "op" else "in" if self._is_keyword("in") else ""
        if not name:
            return left
        if name == "==":
            if not self.form.loose:
                fail(op.at, '"==" is not read', 'write "="')
            name = "="
        self._take()
        right = self._value("a value", 'values are "text", numbers, true, false, null')
        return Compare(left.at, left, name, op.at, right)

    def _value(self, wanted: str, remedy: str) -> Node:
        token = self._take()
        if token.kind in ("string", "number"):
            return Literal(token.at, token.text, token.value)
        if token.kind == "(":
            inner = self._nested(token, lambda: self._level("or"))
            self._take(")", 'a closing ")"')
            return Group(token.at, inner)
        if token.kind == "[":
            return Items(token.at, self._nested(token, lambda: self._list("]")))
        if token.kind != "word" or (token.text in ("and", "or") and token.value):
            fail(token.at, f"expected {wanted}, found {shown(token)}", remedy)
        if self._peek().kind == "(":
            self._take()
            return Call(token.at, token.text, self._nested(token, lambda: self._list(")")))
        if token.text in _CONSTANTS:
            return Literal(token.at, token.text, _CONSTANTS[token.text])
        keys = tuple(re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in re.findall(r"(?:[^.\\]|\\.)+", token.text, re.DOTALL))
        return Path(token.at, token.text, keys)

    def _list(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while self._peek().kind != closing:
            items.append(self._level("or"))
            if self._peek().kind != closing:
                self._take(",", f'a "," or a closing "{closing}"')
        self._take()
        return tuple(items)
