"""`conf/relay.toml` can never go stale: every setting stands in it, at its default, with a line of help."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

from relay.config.settings import SPECS, Settings, literal, read_settings
from relay.config.tree import read_tree
from relay.kit.definition import Action, Definition, Field, Setting
from relay.workspace.alert_rules import KINDS, default_rules
from relay.workspace.assemble import load
from relay.workspace.rules import SchemaSettings

EXAMPLE = Path(__file__).parents[2] / "conf" / "relay.toml"
HOOK = Definition(
    "webhook",
    "Webhooks (Actions)",
    settings=(Setting("url", "URL", required=True), Setting("sharedSecret", "Secret", secret=True)),
    actions={"send": Action("send", "Send", fields=(Field("data", "Data"),))},
)


def uncommented() -> str:
    """Settings are commented without a space after the mark, prose with one."""
    return re.sub(r"^#(?=\S)", "", EXAMPLE.read_text(), flags=re.MULTILINE)


def test_the_file_as_shipped_changes_nothing() -> None:
    assert read_settings(read_tree(EXAMPLE, environment={})) == Settings.defaults()


def test_uncommented_it_holds_every_setting_at_its_default(tmp_path: Path) -> None:
    data = tomllib.loads(uncommented())
    assert [rule["kind"] for rule in data["alerts"].pop("rule")] == ["success_rate"]
    found = {f"{table}.{name}": literal(value) for table, values in data.items() if isinstance(values, dict) for name, value in values.items()}
    assert found == {spec.path: literal(spec.default) for spec in SPECS}
    (tmp_path / "relay.toml").write_text(uncommented())
    (tmp_path / "shop-plan.json").write_text('{"rules": []}')
    loaded = load(tmp_path / "relay.toml", {"webhook": HOOK}, environment={"ORDERS_SECRET": "s"})
    assert loaded.settings == Settings.defaults()
    assert loaded.warnings == ()
    assert [source.slug for source in loaded.workspace.sources] == ["web", "quality"]
    assert replace(loaded.workspace.sources[0].schema, violations_to="", blocked_to="", events={}, traits={}, group_traits={}) == SchemaSettings()
    assert replace(loaded.workspace.alert_rules[0], subject="") in default_rules()
    assert [subscription.name for subscription in loaded.workspace.destinations[0].subscriptions] == ["Completed orders"]


def test_every_setting_has_its_help_above_it() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for spec in SPECS:
        unit = f" [{spec.unit}]" if spec.unit else ""
        entry = [f"# {spec.help}{unit}", f"#{spec.name} = {literal(spec.default)}"]
        assert any(lines[position : position + 2] == entry for position in range(len(lines))), spec.path


def test_every_kind_of_alert_rule_is_named() -> None:
    assert f"# {' '.join(KINDS)}\n" in EXAMPLE.read_text()
    guide = (EXAMPLE.parents[1] / "README.md").read_text()
    assert [kind for kind in KINDS if f"| `{kind}` |" not in guide] == []
