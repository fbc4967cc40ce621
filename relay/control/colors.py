"""What colour a field has: what the matchers of the workspace in use say of its keys and values, and what a person decided."""

from collections.abc import Callable
from typing import Any, Final

from relay.control.seen import RANK, Color, SeenField
from relay.kit.edits import split_path
from relay.kit.matchers import THINGS, Matcher, classifier, with_standard
from relay.pipeline.compiled import Compiled, Current

KNOWN_MAX: Final = 200_000
NONE: Final[Color] = ("", "")
Judge = Callable[[str, Any], Matcher | None]


class Colors:
    """Remembers what it found per path, as long as the workspace version stays."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._compiled: Compiled | None = None
        self._judges: tuple[Judge, Judge] = (_nothing, _nothing)
        """Of keys and values; the second one in an object that is a thing."""
        self._known: dict[tuple[str, str], tuple[Color, bool]] = {}

    def of_path(self, source_id: str, path: str) -> Color:
        """The worst of what its keys say, and of what was decided about it or what it lies in; green decides nothing here."""
        return self._look_up(source_id, path)[0]

    def of_value(self, source_id: str, path: str, value: Any) -> Color:
        """What the value itself gives away."""
        in_thing = self._look_up(source_id, path)[1]
        return _color(self._judges[in_thing](split_path(path)[-1], value))

    def decided(self, source_id: str, path: str) -> str:
        """What a person decided about just this field; empty: nothing."""
        return self._current.compiled.workspace.colors.get(source_id, {}).get(path, "")

    def shown(self, source_id: str, path: str, known: SeenField) -> tuple[str, str, bool]:
        """Colour and matcher as people are told, and whether its values are hidden: once it was red or yellow, green does not show them."""
        found = worst((known.color, known.matcher), self.of_path(source_id, path))
        return self.decided(source_id, path) or found[0], found[1], bool(RANK[found[0]])

    def _look_up(self, source_id: str, path: str) -> tuple[Color, bool]:
        compiled = self._current.compiled
        if self._compiled is not compiled:
            colored = [matcher for matcher in with_standard(compiled.workspace.matchers) if matcher.color]
            self._compiled, self._known = compiled, {}
            self._judges = classifier(colored), classifier(colored, in_thing=True)
        found = self._known.get((source_id, path))
        if found is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            found = self._known[source_id, path] = self._judge(source_id, path)
        return found

    def _judge(self, source_id: str, path: str) -> tuple[Color, bool]:
        """The colour, and whether the field lies in a thing."""
        found, in_thing, lies_in_thing = NONE, False, False
        for key in split_path(path)[1:]:
            found = worst(found, _color(self._judges[in_thing](key, None)))
            lies_in_thing, in_thing = in_thing, in_thing or key in THINGS
        for at, color in self._current.compiled.workspace.colors.get(source_id, {}).items():
            if color != "green" and (path == at or path.startswith(f"{at}.")):
                found = worst(found, (color, ""))
        return found, lies_in_thing


def worst(one: Color, other: Color) -> Color:
    """The one that says more; the first when both say the same."""
    return other if RANK[other[0]] > RANK[one[0]] else one


def _color(matcher: Matcher | None) -> Color:
    return (matcher.color, matcher.name) if matcher else NONE


def _nothing(key: str, value: Any) -> Matcher | None:
    return None
