"""A change that is not saved yet, laid over the configuration: from then on the usual readers judge it, with places inside the change.

`{"destinations": {slug: {key: value}}, "sources": {...}, "plans": {slug: {"rules": [...]}}}`; a value takes the place of the one in the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from relay.config.reading import nearest
from relay.config.tree import Tree, child
from relay.errors import Place, Problem
from relay.workspace.transformations import HASHING, with_kept_key

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "destination": ("filter", "transformation", "privacy", "consent_categories", "mapping", "enabled"),
    "source": ("schema", "transformation", "privacy", "plan"),
    "plan": ("rules",),
}
"""What can be changed, by the name of the table in the file; the change itself says `destinations`, `sources`, `plans`."""


def overlaid(tree: Tree, changes: Mapping[str, Any], problems: list[Problem]) -> Tree:
    """`tree` with the changes in place; what they name that does not exist, or that cannot be changed so, is added to `problems`."""
    over = _Overlay(tree, problems)
    for group, items in changes.items():
        noun = group.removesuffix("s")
        if noun not in KEYS or noun == group:
            over.complain(group, f"'{group}' cannot be changed", nearest(group, [f"{known}s" for known in KEYS]))
        elif over.is_object(group, items):
            for slug, edits in items.items():
                if over.is_object(child(group, slug), edits):
                    over.lay(noun, slug, edits)
    return over.tree()


class _Overlay:
    def __init__(self, tree: Tree, problems: list[Problem]) -> None:
        self._tree = tree
        self._problems = problems
        self._data = dict(tree.data)
        self._places = dict(tree.places)
        self._texts = dict(tree.texts)
        self._unresolved = set(tree.unresolved)

    def tree(self) -> Tree:
        return replace(self._tree, data=self._data, places=self._places, texts=self._texts, unresolved=frozenset(self._unresolved))

    def complain(self, place: str, message: str, remedy: str = "") -> None:
        self._problems.append(Problem(message, Place(place, 0), remedy))

    def is_object(self, place: str, value: Any) -> bool:
        if isinstance(value, dict):
            return True
        self.complain(place, "must be an object")
        return False

    def lay(self, noun: str, slug: str, edits: Mapping[str, Any]) -> None:
        """The edits of one thing into its table."""
        at = child(f"{noun}s", slug)
        tables = self._data.get(noun)
        tables = list(tables) if isinstance(tables, list) else []
        slugs = [table.get("slug") for table in tables if isinstance(table, dict)]
        if slug not in slugs:
            known = nearest(slug, [one for one in slugs if isinstance(one, str)])
            self.complain(at, f"the configuration has no {noun} '{slug}'", known)
            return
        index = next(position for position, table in enumerate(tables) if isinstance(table, dict) and table.get("slug") == slug)
        for key, value in edits.items():
            if key not in KEYS[noun]:
                self.complain(child(at, key), f"'{key}' of a {noun} cannot be changed here", nearest(key, KEYS[noun]))
                continue
            value = _with_kept_keys(value, tables[index].get(key)) if key == "transformation" else value
            tables[index] = {**tables[index], key: value}
            self._move(child(child(noun, index), key), child(at, key), value)
        self._data[noun] = tables

    def _move(self, path: str, place: str, value: Any) -> None:
        """Everything at `path` stands in the change now."""
        for known in [known for known in self._places if known == path or known.startswith((f"{path}.", f"{path}["))]:
            del self._places[known]
            self._texts.pop(known, None)
            self._unresolved.discard(known)
        for inner in _paths(value):
            self._places[path + inner] = Place(place + inner, 0)


def _with_kept_keys(changed: Any, before: Any) -> Any:
    """The transformations of a change; a hash key that it shows as dots is the one of the file."""
    if not isinstance(changed, list) or not isinstance(before, list):
        return changed
    tables = [table.get(HASHING) if isinstance(table, dict) else None for table in before]
    keys = [str(table.get("key", "")) if isinstance(table, dict) else "" for table in tables]
    return [with_kept_key(table, keys) for table in changed]


def _paths(value: Any, at: str = "") -> Iterator[str]:
    """`value` itself and everything in it, as what follows its path."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(key, int):
            yield from _paths(item, f"{at}[{key}]")
        else:
            yield from _paths(item, at + child("_", key)[1:])
