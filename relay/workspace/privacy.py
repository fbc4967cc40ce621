"""`[[matcher]]` and the `privacy` tables of sources and destinations: from the tree to rules, every mistake with its place."""

from collections.abc import Sequence

from relay.config.reading import TableReader
from relay.config.tree import Tree
from relay.errors import Problem
from relay.workspace.rules import Matcher, PrivacyRules


def read_matchers(tree: Tree, problems: list[Problem]) -> tuple[Matcher, ...]:
    """Every `[[matcher]]`."""
    return ()


def read_privacy(reader: TableReader, matchers: Sequence[Matcher]) -> PrivacyRules:
    """The `privacy` table of a source or destination; entries with a dot are paths, the others name a matcher or a key."""
    table = reader.take("privacy", "object", {})
    inner = TableReader(reader.tree, reader.at("privacy"), f"{reader.label}, privacy", reader.problems, table)
    rules = PrivacyRules(
        block=tuple(_meant(entry, matchers) for entry in inner.take("block", "list", ())),
        mask=tuple(_meant(entry, matchers) for entry in inner.take("mask", "list", ())),
        hash=tuple(_meant(entry, matchers) for entry in inner.take("hash", "list", ())),
        encrypt=tuple(_meant(entry, matchers) for entry in inner.take("encrypt", "list", ())),
        public_key=inner.take("public_key", "string", ""),
    )
    inner.finish()
    return rules


def _meant(entry: str, matchers: Sequence[Matcher]) -> Matcher:
    if "." in entry:
        return Matcher(entry, path=entry)
    return next((matcher for matcher in matchers if matcher.name == entry), None) or Matcher(entry, keys=(entry,))
