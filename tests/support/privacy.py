"""Privacy rules from entries as a configuration has them."""

from collections.abc import Sequence

from relay.config.reading import TableReader
from relay.config.tree import Tree
from relay.errors import Problem
from relay.kit.matchers import Matcher
from relay.workspace.privacy import read_privacy
from relay.workspace.rules import PrivacyRules


def privacy_rules(own: Sequence[Matcher] = (), **lists: object) -> PrivacyRules:
    """`privacy_rules(block=["red"], mask=["email"])`."""
    problems: list[Problem] = []
    rules = read_privacy(TableReader(Tree(), "source[0]", "source", problems, {"privacy": lists}), own)
    assert not problems, problems
    return rules
