"""`[[alerts.rule]]`: what it overrides, and every mistake with file, line and the nearest valid word."""

from pathlib import Path

import pytest

from relay.errors import ConfigError
from relay.kit.definition import Definition
from relay.workspace.alert_rules import KINDS, default_rules, effective_rules
from relay.workspace.assemble import Loaded, load
from relay.workspace.model import AlertRule

BASE = '[[source]]\nslug = "web"\nwrite_key = "wk"\n[[destination]]\nslug = "orders"\ntype = "hook"\n'


def read(text: str, folder: Path) -> Loaded:
    (folder / "relay.toml").write_text(BASE + text)
    return load(folder / "relay.toml", {"hook": Definition("hook", "Hook")}, environment={})


def rules(text: str, folder: Path) -> dict[str, AlertRule]:
    return {rule.name: rule for rule in effective_rules(read(text, folder).workspace.alert_rules)}


def test_without_any_every_kind_is_on(tmp_path: Path) -> None:
    found = rules("", tmp_path)
    assert {rule.kind for rule in found.values()} == KINDS.keys()
    assert all(rule.enabled for rule in found.values())


def test_a_rule_takes_the_place_of_its_kinds_default(tmp_path: Path) -> None:
    found = rules('[[alerts.rule]]\nkind = "success_rate"\nthreshold = 0.98\nwindow_m = 5\n', tmp_path)
    assert len(found) == len(default_rules())
    assert (found["success rate"].threshold, found["success rate"].window_m, found["success rate"].min_events) == (0.98, 5, 50)


def test_a_defaults_name_is_enough(tmp_path: Path) -> None:
    assert not rules('[[alerts.rule]]\nname = "volume change"\nenabled = false\n', tmp_path)["volume change"].enabled


def test_another_name_makes_a_further_rule(tmp_path: Path) -> None:
    found = rules('[[alerts.rule]]\nname = "orders are late"\nkind = "backlog_age"\nthreshold = 60\nsubject = "orders"\n', tmp_path)
    assert found["orders are late"].subject == "orders"
    assert found["backlog age"].threshold == 900


def test_a_changed_rule_makes_a_new_version(tmp_path: Path) -> None:
    from relay.workspace.digest import digest

    assert digest(read("", tmp_path).workspace) != digest(read('[[alerts.rule]]\nkind = "dead"\nthreshold = 1\n', tmp_path).workspace)


MISTAKES = [
    ('[[alerts.rule]]\nkind = "sucess_rate"', 8, "unknown kind 'sucess_rate'", "did you mean 'success_rate'?"),
    ("[[alerts.rule]]\nthreshold = 1", 7, "a rule needs a kind", ""),
    ('[[alerts.rule]]\nkind = "dead"\ntreshold = 1', 9, "unknown setting 'treshold'", "did you mean 'threshold'?"),
    ('[[alerts.rule]]\nkind = "success_rate"\nthreshold = 98', 9, "'threshold' must be at most 1", ""),
    ('[[alerts.rule]]\nkind = "dead"\nwindow_m = 0', 9, "'window_m' must be at least 1", ""),
    ('[[alerts.rule]]\nkind = "dead"\nsubject = "order"', 9, "unknown destination 'order'", "did you mean 'orders'?"),
    ('[[alerts.rule]]\nkind = "source_silent"\nsubject = "orders"', 9, "unknown source 'orders'", ""),
    ('[[alerts.rule]]\nkind = "disk"\nsubject = "orders"', 9, "this kind watches relay itself, so it has no subject", "remove it"),
    ('[[alerts.rule]]\nkind = "held"\nthreshold = 2', 9, "a rule of kind 'held' has no threshold", ""),
    ('[[alerts.rule]]\nkind = "dead"\n[[alerts.rule]]\nkind = "dead"', 9, "the name 'dead' is used twice", ""),
    ('[[alerts.rule]]\nname = "dead"\nkind = "held"', 8, "'dead' is the name of the default rule of kind 'dead'", "choose another name"),
    ('[alerts.rule]\nkind = "dead"', 7, "'rule' must be a list of tables", "write [[alerts.rule]]"),
    ("[alerts]\ncheck_every_s = 0", 8, "'check_every_s' must be at least 0.1", ""),
    ("[alerts]\nrepeat_every = 1", 8, "unknown setting 'repeat_every'", "did you mean 'repeat_every_h'?"),
]


@pytest.mark.parametrize(("text", "line", "message", "remedy"), MISTAKES)
def test_every_mistake_has_its_place(text: str, line: int, message: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.place is not None
    assert (Path(problem.place.file).name, problem.place.line) == ("relay.toml", line)
    assert remedy in problem.remedy


def test_the_slug_relay_is_reserved_and_may_be_named(tmp_path: Path) -> None:
    text = BASE.replace('type = "hook"', 'type = "hook"\nsources = ["relay"]')
    (tmp_path / "relay.toml").write_text(text)
    loaded = load(tmp_path / "relay.toml", {"hook": Definition("hook", "Hook")}, environment={})
    assert loaded.workspace.destinations[0].source_ids == ("relay",)
    assert "relay" not in [source.slug for source in loaded.workspace.sources]
