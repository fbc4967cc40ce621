"""Hides what is secret by its name, in values and in texts, before they leave the server (`[ui] mask`).

A name covers every key that contains it, letter case and separators aside: `token` covers `token`, `accessToken` and `X-Auth-Token`. An empty value
stays as it is, so that a person sees that it is empty. Pure; nothing is changed in place.
"""

import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

from relay.base import jsonio
from relay.base.secret import MASK

DEPTH_MAX: Final = 200
"""orjson reads deeper than it writes: what is below is cut."""
CUT: Final = "…"

_SEPARATORS = re.compile("[-_. ]")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)(?:"(\s*:\s*)?|\\?\Z)', re.DOTALL)
"""A JSON string, perhaps cut, even within an escape, so that every quote begins one; the second group is there when it is a key."""
_SCALAR = re.compile(r"[^\s,\]}]+")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[][{}]', re.DOTALL)
_PAIR = re.compile(r"(^|[?&])([^=&?#\s]+)=([^&#\s]+)")


def mask(value: Any, names: tuple[str, ...]) -> Any:
    """`value` (as JSON has it) with `•••` in place of everything below a key that one of `names` covers."""
    return _masked(value, _pattern(names), DEPTH_MAX)


def mask_at(path: str, value: Any, names: tuple[str, ...]) -> Any:
    """A value at a dotted path, masked as it would be inside of its object."""
    if any(_pattern(names).search(part) for part in path.split(".")):
        return value if value in (None, "", {}, []) else MASK
    return mask(value, names)


def mask_text(text: str, names: tuple[str, ...]) -> str:
    """The same for JSON, a form or a URL that is kept as text, perhaps cut at its end; every other character stays."""
    secret = _pattern(names)
    if text.lstrip()[:1] in ("{", "["):
        return _mask_json(text, secret)
    return _PAIR.sub(lambda pair: f"{pair[1]}{pair[2]}={MASK}" if secret.search(unquote_plus(pair[2])) else pair[0], text)


def _masked(value: Any, secret: re.Pattern[str], depth: int) -> Any:
    if not isinstance(value, dict | list | tuple):
        return value
    if not depth:
        return CUT
    if isinstance(value, dict):
        return {
            key: (MASK if item not in (None, "", {}, []) else item) if secret.search(str(key)) else _masked(item, secret, depth - 1)
            for key, item in value.items()
        }
    return [_masked(item, secret, depth - 1) for item in value]


def _mask_json(text: str, secret: re.Pattern[str]) -> str:
    parts, at = [], 0
    while found := _STRING.search(text, at):  # from string to string, so that what is inside of one is never taken for a key
        start = found.end()
        parts.append(text[at:start])
        at = start
        if found[2] and secret.search(_plain(found[1])):
            at = _value_end(text, start)
            parts.append(text[start:at] if text[start:at] in ("null", '""', "{}", "[]") else f'"{MASK}"')
    return "".join(parts) + text[at:]


def _value_end(text: str, start: int) -> int:
    """Where the JSON value that begins at `start` ends; the end of the text when it was cut."""
    if text[start : start + 1] not in ("{", "["):
        found = (_STRING if text[start : start + 1] == '"' else _SCALAR).match(text, start)
        return found.end() if found else len(text)
    depth = 0
    for token in _BRACKETS.finditer(text, start):
        depth += 1 if token[0] in ("{", "[") else -1 if token[0] in ("}", "]") else 0
        if not depth:
            return token.end()
    return len(text)


def _plain(key: str) -> str:
    """A key without its JSON escapes."""
    if "\\" not in key:
        return key
    try:
        return str(jsonio.loads(f'"{key}"'))
    except ValueError:
        return key


@lru_cache(maxsize=16)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Finds one of `names` in a key, whatever separates its letters; nothing when there is no name."""
    folded = [_SEPARATORS.sub("", name) for name in names]
    return re.compile("|".join("[-_. ]*".join(map(re.escape, name)) for name in folded if name) or r"(?!)", re.IGNORECASE)
