"""What colour a field has: what the matchers of the workspace in use say of its keys and values, and what a person decided."""

from typing import Any, Final

from relay.control.seen import RANK, Color, SeenField, keys_of
from relay.pipeline.compiled import Compiled, Current

KNOWN_MAX: Final = 200_000
NONE: Final[Color] = ("", "")


class Colors:
    """Remembers what it found per path, as long as the workspace version stays."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._compiled: Compiled | None = None
        self._by_key: dict[str, Color] = {}
        self._by_path: dict[tuple[str, str], Color] = {}

    def of_path(self, source_id: str, path: str) -> Color:
        """The worst of what its keys say, and of what was decided about it or what it lies in; green decides nothing here."""
        self._refresh()
        found = self._by_path.get((source_id, path))
        if found is None:
            if len(self._by_path) >= KNOWN_MAX:
                self._by_path.clear()
            found = self._by_path[source_id, path] = self._judge(source_id, path)
        return found

    def of_value(self, source_id: str, path: str, value: Any) -> Color:
        """What the value itself gives away."""
        self._refresh()
        return NONE

    def decided(self, source_id: str, path: str) -> str:
        """What a person decided about just this field; empty: nothing."""
        return self._current.compiled.workspace.colors.get(source_id, {}).get(path, "")

    def shown(self, source_id: str, path: str, known: SeenField) -> tuple[str, str, bool]:
        """Colour and matcher as people are told, and whether its values are hidden: once it was red or yellow, green does not show them."""
        found = worst((known.color, known.matcher), self.of_path(source_id, path))
        decided = self.decided(source_id, path)
        return decided or found[0], found[1], bool(RANK[found[0]])

    def _refresh(self) -> None:
        if self._compiled is not self._current.compiled:
            self._compiled = self._current.compiled
            self._by_key, self._by_path = {}, {}

    def _judge(self, source_id: str, path: str) -> Color:
        keys, decisions = keys_of(path), self._current.compiled.workspace.colors.get(source_id, {})
        found = NONE
        for key in keys[1:]:
            found = worst(found, self._of_key(key))
        for at, color in decisions.items():
            if color != "green" and (path == at or path.startswith(f"{at}.")):
                found = worst(found, (color, ""))
        return found

    def _of_key(self, key: str) -> Color:
        found = self._by_key.get(key)
        if found is None:
            if len(self._by_key) >= KNOWN_MAX:
                self._by_key.clear()
            found = self._by_key[key] = NONE
        return found


def worst(one: Color, other: Color) -> Color:
    """The one that says more; the first when both say the same."""
    return other if RANK[other[0]] > RANK[one[0]] else one
