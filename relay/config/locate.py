"""Where each key and value of a TOML text stands; tomllib tells that only for mistakes.

`locate` reads text that tomllib has already accepted, so it only finds ends and never judges.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from relay.errors import Place

Keys = tuple[str | int, ...]
"""A path as parts: names of keys, and indices of arrays."""

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SECRET_NAME = re.compile(r"secret|token|passw|key|auth|credential", re.IGNORECASE)


@dataclass(slots=True)
class _Mark:
    start: int
    end: int
    value: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Located:
    """One text with the marks of all its keys."""

    file: str
    text: str
    line_starts: tuple[int, ...]
    marks: Mapping[Keys, _Mark]
    strings: tuple[tuple[int, int], ...]

    def place(self, keys: Keys) -> Place | None:
        """Where `keys` stands; the line's other strings are dotted out, for they may be secrets."""
        mark = self.marks.get(keys)
        if mark is None:
            return None
        line = bisect_right(self.line_starts, mark.start)
        start = self.line_starts[line - 1]
        shown = None if "settings" in keys or _SECRET_NAME.search(str(keys[-1])) else mark.value
        return Place(self.file, line, mark.start - start + 1, self._line(start, shown), max(1, mark.end - mark.start))

    def _line(self, start: int, shown: tuple[int, int] | None) -> str:
        end = self.text.find("\n", start)
        end = len(self.text) if end < 0 else end
        characters = list(self.text[start:end])
        for first, last in self.strings:
            if (first, last) != shown:
                for position in range(max(first + 1, start), min(last - 1, end)):
                    characters[position - start] = "•"
        return "".join(characters).replace("\t", " ").rstrip()


def locate(file: str, text: str) -> Located:
    """The places in `text`, which is valid TOML with plain newlines."""
    scanner = _Scanner(text)
    scanner.document()
    starts = (0, *(match.end() for match in re.finditer("\n", text)))
    return Located(file, text, starts, scanner.marks, tuple(scanner.strings))


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.marks: dict[Keys, _Mark] = {}
        self.strings: list[tuple[int, int]] = []
        self.counts: dict[Keys, int] = {}

    def document(self) -> None:
        base: Keys = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._take("[["):
                base = self._header(array=True)
                self.at += 2
            elif self._take("["):
                base = self._header(array=False)
                self.at += 1
            else:
                self._pair(base)
            self._skip(_BLANK)

    def _header(self, *, array: bool) -> Keys:
        parts = self._dotted()
        path: Keys = ()
        for position, (key, start, end) in enumerate(parts):
            path = (*path, key)
            last = position == len(parts) - 1
            mark = _Mark(parts[0][1] if last else start, end)
            self.marks.setdefault(path, mark)
            if last and array:
                self.counts[path] = self.counts.get(path, 0) + 1
            if path in self.counts:
                path = (*path, self.counts[path] - 1)
                self.marks.setdefault(path, mark)
        return path

    def _pair(self, base: Keys) -> None:
        path = base
        mark = _Mark(0, 0)
        for key, start, end in self._dotted():
            path = (*path, key)
            mark = self.marks.setdefault(path, _Mark(start, end))
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        start = self.at
        self._value(path)
        mark.value = (start, self.at)

    def _value(self, path: Keys) -> None:
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._skip(_BLANK)
            while not self._take("}"):
                self._pair(path)
                self._skip(_BLANK)
                self._take(",")
                self._skip(_BLANK)
        elif self.text[self.at] in "\"'":
            self.strings.append((self.at, self._skip(_STRING)))
        else:
            self._skip(_SCALAR)

    def _array(self, path: Keys) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._take("]"):
            start = self.at
            mark = self.marks.setdefault((*path, index), _Mark(start, start))
            self._value((*path, index))
            first_line = self.text[start : self.at].partition("\n")[0].rstrip()
            mark.end, mark.value = start + len(first_line), (start, self.at)
            self._skip(_BLANK)
            self._take(",")
            self._skip(_BLANK)
            index += 1

    def _dotted(self) -> list[tuple[str, int, int]]:
        parts: list[tuple[str, int, int]] = []
        while True:
            self._skip(_SPACE)
            start = self.at
            quoted = self.text[start] in "\"'"
            end = self._skip(_STRING if quoted else _BARE)
            token = self.text[start:end]
            parts.append((tomllib.loads(f"key = {token}")["key"] if quoted else token, start, end))
            self._skip(_SPACE)
            if not self._take("."):
                return parts

    def _take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at
