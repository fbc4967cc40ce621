"""The filter bar's language: `type:track,page event:"Order*" user:u1 to:ga4 state:dead plan:violated has:properties.coupon -source:test refund`.

Terms are ANDed, `-` negates, commas are OR, a bare word searches the raw JSON. The browser has the same parser (`lib/filter.js`);
`tests/data/filter_cases.json` holds both to one meaning.
"""

import re
from typing import Any, Final

from relay.errors import FilterError
from relay.observe.row_filter import LEAVES_MAX, LIST_MAX, NUMBERS, VALUE_MAX_CHARS, Ast, check_field, check_word, nearest

TEXT_MAX_CHARS: Final = 2_000
PLAN_WORDS: Final[dict[str, tuple[str, int]]] = {"violated": ("gt", 0), "ok": ("eq", 0)}

_FIELD = re.compile(r"[A-Za-z_][\w.$-]*(?=:)")
_WORD = re.compile(r'[^\s,"]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")


def parse(text: str) -> Ast:
    """The tree of a line of text. Raises FilterError with `at`, the position (from 0) of what is wrong."""
    if len(text) > TEXT_MAX_CHARS:
        raise FilterError(f"the filter is longer than {TEXT_MAX_CHARS} characters", TEXT_MAX_CHARS)
    terms: list[Ast] = []
    position = _skip(text, 0)
    while position < len(text):
        if len(terms) == LEAVES_MAX:
            raise FilterError(f"the filter has more than {LEAVES_MAX} terms", position)
        term, position = _term(text, position)
        terms.append(term)
        position = _skip(text, position)
    return {"all": terms}


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _term(text: str, start: int) -> tuple[Ast, int]:
    negated = text[start] == "-"
    position = start + negated
    field = _FIELD.match(text, position)
    if field is None:
        words, end = _values(text, position, lists=False)
        term: Ast = {"f": "text", "op": "text", "v": words[0][0]}
    else:
        _placed(lambda: check_field(field[0]), position)
        words, end = _values(text, field.end() + 1, lists=True)
        term = _leaf(field[0], words)
    return ({"not": term} if negated else term), end


Word = tuple[str, bool, int]
"""Text, whether it stood in quotes, and where."""


def _values(text: str, position: int, *, lists: bool) -> tuple[list[Word], int]:
    """One value, or several between commas, and where they end."""
    words: list[Word] = []
    while True:
        quoted = _QUOTED.match(text, position)
        plain = None if quoted else (_WORD if lists else _BARE).match(text, position)
        found = quoted or plain
        if found is None:
            raise FilterError("a quote is not closed" if text[position : position + 1] == '"' else "a value is missing", position)
        word = re.sub(r"\\(.)", r"\1", found[1]) if quoted else found[0]
        if not word or len(word) > VALUE_MAX_CHARS:
            raise FilterError(f"a value has 1 to {VALUE_MAX_CHARS} characters", position)
        words.append((word, quoted is not None, position))
        position = found.end()
        if position == len(text) or text[position].isspace():
            return words, position
        if not lists or text[position] != ",":
            raise FilterError("a space is missing", position)
        if len(words) == LIST_MAX:
            raise FilterError(f"a list has more than {LIST_MAX} values", position)
        position += 1


_BARE = re.compile(r'[^\s"]+')


def _leaf(field: str, words: list[Word]) -> Ast:
    leaves = [_one(field, word) for word in words]
    if len(leaves) > 1 and all(leaf.get("op") == "eq" for leaf in leaves):
        return {"f": field, "op": "in", "v": [leaf["v"] for leaf in leaves]}
    return leaves[0] if len(leaves) == 1 else {"any": leaves}


def _one(field: str, word: Word) -> Ast:
    text, quoted, at = word
    if field in ("has", "text"):
        return {"f": field, "op": field, "v": text}
    if field == "plan" and text in PLAN_WORDS:
        op, value = PLAN_WORDS[text]
        return {"f": field, "op": op, "v": value}
    if not quoted and text[0] in "<>" and (field in NUMBERS or "." in field):
        return {"f": field, "op": "gt" if text[0] == ">" else "lt", "v": _number(field, text[1:], at + 1)}
    if field in NUMBERS:
        return {"f": field, "op": "eq", "v": _number(field, text, at)}
    if "*" in text:
        return {"f": field, "op": "glob", "v": text}
    _placed(lambda: check_word(field, text), at)
    return {"f": field, "op": "eq", "v": text}


def _number(field: str, text: str, at: int) -> float:
    if not _NUMBER.fullmatch(text):
        hint = nearest(text, tuple(PLAN_WORDS)) if field == "plan" else ""
        raise FilterError(f"'{field}' is compared with a number{hint}", at)
    return float(text) if "." in text else int(text)


def _placed(check: Any, at: int) -> None:
    try:
        check()
    except FilterError as error:
        raise FilterError(error.message, at) from None
