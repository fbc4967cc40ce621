"""Where each value of a JSON text stands; looked for only when a mistake has to be told, in text that was already parsed."""

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from relay.config.locate import Keys
from relay.errors import Place

SHOWN_CHARS: Final = 200
"""A longer line (JSON without line ends) is not shown with its place."""

_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class JsonText:
    """One JSON text of a file."""

    file: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def at(self, line: int, column: int = 0, width: int = 1) -> Place:
        """The place in a line; both count from 1."""
        start = self._starts[min(line, len(self._starts)) - 1]
        shown = self.text[start : start + SHOWN_CHARS + 1].partition("\n")[0].replace("\t", " ").rstrip()
        return Place(self.file, line, column, shown if len(shown) <= SHOWN_CHARS else "", width)

    def place(self, keys: Keys) -> Place:
        """Where the member or item at `keys` begins, else the nearest thing around it that is there."""
        start, end = self._found(keys)
        line = bisect_right(self._starts, start)
        width = self.text[start:end].partition("\n")[0]
        return self.at(line, start - self._starts[line - 1] + 1, max(1, len(width.rstrip())))

    def _found(self, keys: Keys) -> list[int]:
        value = self._skip(0)
        found = [value, value + 1]
        for key in keys:
            step = self._member(value, key) if isinstance(key, str) else self._item(value, key)
            if step is None:
                break
            value, *found = step
        return found

    def _member(self, at: int, name: str) -> tuple[int, int, int] | None:
        """(value, start, end of the key) of a member; of several with one name the last counts, as for every reader of JSON."""
        found = None
        if self.text[at] != "{":
            return None
        at = self._skip(at + 1)
        while self.text[at] == '"':
            key, end = _DECODER.raw_decode(self.text, at)
            value = self._skip(self._skip(end) + 1)
            if key == name:
                found = (value, at, end)
            at = self._after(value)
        return found

    def _item(self, at: int, index: int) -> tuple[int, int, int] | None:
        if self.text[at] != "[":
            return None
        at = self._skip(at + 1)
        for _ in range(index):
            if self.text[at] == "]":
                return None
            at = self._after(at)
        return None if self.text[at] == "]" else (at, at, self._end(at))

    def _after(self, value: int) -> int:
        """Where the next member, item or closing bracket stands."""
        at = self._skip(self._end(value))
        return self._skip(at + 1) if self.text[at] == "," else at

    def _end(self, value: int) -> int:
        decoded: tuple[Any, int] = _DECODER.raw_decode(self.text, value)
        return decoded[1]

    def _skip(self, at: int) -> int:
        match = _BLANK.match(self.text, at)
        return match.end() if match else at


def pointer(keys: Keys) -> str:
    """The JSON pointer of a path, as `/rules/3/jsonSchema/type`."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
