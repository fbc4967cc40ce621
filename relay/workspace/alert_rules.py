"""Alert rules: every kind with its default, and `[[alerts.rule]]` from the tree, every mistake with its place.

The defaults are on without any configuration. A rule with a default's name, or without a name, takes the default's place; any other
name makes a further rule of its kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.config.reading import TableReader, nearest
from relay.config.tree import Tree, child
from relay.errors import Problem
from relay.workspace.model import AlertRule, Destination, Source

WINDOW_MAX_M: Final = 7 * 1440


@dataclass(frozen=True, slots=True)
class RuleKind:
    """What a kind of rule watches, and the rule that is on by default."""

    subject: str
    """`destination`, `source` or `relay`."""
    unit: str
    """Of value and threshold: `share` (0 to 1), `s`, `events`, `restarts`; empty: a state, which has no threshold."""
    threshold: float
    window_m: int
    min_events: int
    help: str

    @property
    def is_state(self) -> bool:
        return not self.unit


KINDS: Final[dict[str, RuleKind]] = {
    "success_rate": RuleKind("destination", "share", 0.95, 15, 50, "share of attempts that were delivered is below the threshold"),
    "backlog_age": RuleKind("destination", "s", 900, 1, 10, "the oldest of at least min_events waiting events is older than the threshold"),
    "dead": RuleKind("destination", "events", 10, 15, 1, "as many dead letters within the window"),
    "held": RuleKind("destination", "", 1, 60, 1, "relay stopped deliveries; a hold by a person counts after the window"),
    "breaker_open": RuleKind("destination", "", 1, 1, 1, "the receiver fails, and relay only probes it"),
    "rejected_share": RuleKind("source", "share", 0.05, 15, 50, "share of messages that are refused at ingest is above the threshold"),
    "volume_change": RuleKind(
        "source", "share", 0.5, 1440, 1000, "events of the window against those of the window before: fewer by the threshold, or as much more"
    ),
    "source_silent": RuleKind("source", "events", 1, 60, 50, "fewer events within the window, when there were min_events a day ago"),
    "violations": RuleKind("source", "events", 100, 60, 1, "as many events that break the tracking plan within the window"),
    "disk": RuleKind("relay", "share", 0.7, 1, 1, "share of max_db_bytes that is used, or of the free room that is left before min_free_bytes"),
    "actor_restarts": RuleKind("destination", "restarts", 3, 15, 1, "as many crashes of the destination's actor within the window"),
    "balance": RuleKind("destination", "", 1, 1, 1, "the books do not balance: accepted is not what left plus what waits"),
}
"""Every kind; what `help` says is when the rule's condition holds."""


def default_rules() -> tuple[AlertRule, ...]:
    """One rule of each kind, named after it."""
    return tuple(AlertRule(_name(kind), kind, one.threshold, one.window_m, one.min_events) for kind, one in KINDS.items())


def effective_rules(configured: Sequence[AlertRule]) -> tuple[AlertRule, ...]:
    """The rules in force: the defaults with what was configured in their place, and behind them what was added."""
    rules = {rule.name: rule for rule in default_rules()}
    return tuple((rules | {rule.name: rule for rule in configured}).values())


def read_alert_rules(tree: Tree, sources: Sequence[Source], destinations: Sequence[Destination], problems: list[Problem]) -> tuple[AlertRule, ...]:
    """What `[[alerts.rule]]` says."""
    table = tree.data.get("alerts", {})
    given = table.get("rule", []) if isinstance(table, dict) else []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        problems.append(Problem("alerts: 'rule' must be a list of tables", tree.place("alerts.rule"), "write [[alerts.rule]]"))
        return ()
    slugs = {"source": [one.slug for one in sources], "destination": [one.slug for one in destinations], "relay": []}
    rules: dict[str, AlertRule] = {}
    for index, one in enumerate(given):
        path = child("alerts.rule", index)
        reader = TableReader(tree, path, _label(one, index), problems, one)
        rule = _read_rule(reader, slugs)
        if rule is None:
            continue
        if rule.name in rules:
            reader.complain(f"the name '{rule.name}' is used twice", "name" if "name" in one else "", "give each rule a name of its own")
        rules[rule.name] = rule
    return tuple(rules.values())


def _read_rule(reader: TableReader, slugs: Mapping[str, list[str]]) -> AlertRule | None:
    default_kind = {_name(kind): kind for kind in KINDS}.get(str(reader.table.get("name", "")), "")
    kind: str = reader.take("kind", "string", default_kind)
    about = KINDS.get(kind)
    if about is None:
        if kind:
            reader.complain(f"unknown kind '{kind}'", "kind", nearest(kind, KINDS) or "one of " + ", ".join(KINDS))
        elif "kind" not in reader.table:
            reader.complain("a rule needs a kind", remedy='add kind = "success_rate", or another of ' + ", ".join(KINDS))
        return None
    name: str = reader.take("name", "string", _name(kind)) or _name(kind)
    if default_kind and default_kind != kind:
        reader.complain(f"'{name}' is the name of the default rule of kind '{default_kind}'", "name", "choose another name")
    most = 1.0 if about.unit == "share" else None
    threshold: float = reader.take("threshold", "number", about.threshold, minimum=0, maximum=most)
    if about.is_state and "threshold" in reader.table:
        reader.complain(f"a rule of kind '{kind}' has no threshold", "threshold", "remove it; enabled = false switches the rule off")
    rule = AlertRule(
        name,
        kind,
        float(threshold),
        reader.take("window_m", "integer", about.window_m, minimum=1, maximum=WINDOW_MAX_M),
        reader.take("min_events", "integer", about.min_events, minimum=0),
        _subject(reader, about, slugs),
        reader.take("enabled", "boolean", True),
        reader.tree.places.get(reader.path),
    )
    reader.finish()
    return rule


def _subject(reader: TableReader, about: RuleKind, slugs: Mapping[str, list[str]]) -> str:
    slug: str = reader.take("subject", "string", "")
    if slug and about.subject == "relay":
        reader.complain("this kind watches relay itself, so it has no subject", "subject", "remove it")
    elif slug and slug not in slugs[about.subject]:
        reader.complain(f"unknown {about.subject} '{slug}'", "subject", nearest(slug, slugs[about.subject]))
    return slug


def _name(kind: str) -> str:
    return kind.replace("_", " ")


def _label(table: Mapping[str, Any], index: int) -> str:
    name = table.get("name") or table.get("kind")
    return f'alert rule "{name}"' if isinstance(name, str) else f"alert rule {index + 1}"
