"""`[source.schema]`: Segment's settings and ours, every mistake with its place."""

import json
from pathlib import Path

import pytest

from relay.config.report import format_problem
from relay.destinations import load_catalog
from relay.errors import ConfigError
from relay.workspace.assemble import Loaded, load
from relay.workspace.rules import EventSetting, SchemaSettings, TypeSettings

HEAD = """
[[plan]]
slug = "shop"
file = "p.json"
[[source]]
slug = "bad"
write_key = "b"
[[source]]
slug = "web"
write_key = "wk"
"""
KEEP = '\n[[destination]]\nslug = "keep"\ntype = "archive"\n'


def read(folder: Path, text: str) -> Loaded:
    (folder / "p.json").write_text(json.dumps([{"type": "TRACK", "key": "A", "jsonSchema": {}}]))
    (folder / "relay.toml").write_text(HEAD + text + KEEP)
    return load(folder / "relay.toml", load_catalog(), environment={})


def schema_of(folder: Path, text: str) -> SchemaSettings:
    return read(folder, text).workspace.sources[1].schema


def test_everything_passes_by_default(tmp_path: Path) -> None:
    assert schema_of(tmp_path, 'plan = "shop"\n') == SchemaSettings()


def test_every_setting_is_read(tmp_path: Path) -> None:
    text = """plan = "shop"
[source.schema]
forwardingViolationsTo = "bad"
forwardingBlockedEventsTo = "bad"
enforce_destinations = true
traits = { email = false, role = true }
group_traits = { phone = false }
[source.schema.track]
allowUnplannedEvents = false
allowUnplannedEventProperties = false
allowEventOnViolations = false
allowPropertiesOnViolations = false
commonEventOnViolations = "Block"
[source.schema.identify]
allowUnplannedTraits = false
allowTraitsOnViolations = false
commonEventOnViolations = "omit_traits"
[source.schema.group]
commonEventOnViolations = "OMIT_PROPERTIES"
[source.schema.events."Order Completed"]
enabled = false
integrations = { keep = false }
"""
    assert schema_of(tmp_path, text) == SchemaSettings(
        track=TypeSettings(False, False, False, False, "BLOCK"),
        identify=TypeSettings(allow_unplanned_properties=False, allow_properties_on_violations=False, common_on_violations="OMIT"),
        group=TypeSettings(common_on_violations="OMIT"),
        violations_to="bad",
        blocked_to="bad",
        events={"Order Completed": EventSetting(False, {"keep": False})},
        traits={"email": False, "role": True},
        group_traits={"phone": False},
        enforce_destinations=True,
    )


@pytest.mark.parametrize(
    ("text", "line", "told", "remedy"),
    [
        ('[source.schema]\ntrack = { allowUnplanedEvents = false }', 13, "unknown setting 'allowUnplanedEvents'", "did you mean 'allowUnplannedEvents'?"),
        ('[source.schema]\nidentify = { allowUnplannedEvents = false }', 13, "unknown setting 'allowUnplannedEvents'", ""),
        ('[source.schema]\ntrack = { allowUnplannedEvents = "no" }', 13, "must be true or false", ""),
        ('[source.schema]\ntrack = { commonEventOnViolations = "blok" }', 13, "'commonEventOnViolations' must be", "did you mean 'BLOCK'?"),
        ('[source.schema]\nforwardingViolationsTo = "bda"', 13, "unknown source 'bda'", "did you mean 'bad'?"),
        ('[source.schema]\nforwardingViolationsTo = "web"', 13, "names the source itself", "another source"),
        ('[source.schema.events."A"]\nenabeld = false', 13, "unknown setting 'enabeld'", "did you mean 'enabled'?"),
        ('[source.schema.events."A"]\nintegrations = { kep = false }', 13, "unknown destination 'kep'", "did you mean 'keep'?"),
        ('[source.schema]\nevents = { A = 3 }', 13, "'A' must be a table", ""),
        ('[source.schema]\ntraits = { email = "no" }', 13, "'email' must be true or false", ""),
        ('[source.schema]\nenforce_destinations = 1', 13, "must be true or false", ""),
        ('[source.schema]\nevent = {}', 13, "unknown setting 'event'", "did you mean 'events'?"),
    ],
)  # fmt: skip
def test_a_mistake_has_a_place_and_a_remedy(text: str, line: int, told: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, 'plan = "shop"\n' + text)
    (problem,) = caught.value.problems
    assert problem.place is not None
    assert (problem.place.line, remedy in problem.remedy) == (line, True)
    assert told in problem.message


def test_a_circle_of_forwarding_is_refused(tmp_path: Path) -> None:
    text = """plan = "shop"
schema = { forwardingViolationsTo = "bad" }
[[source]]
slug = "third"
write_key = "t"
schema = { forwardingBlockedEventsTo = "web" }
"""
    read(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text.replace('"bad"', '"third"'))
    assert [format_problem(one).splitlines()[0].partition(": ")[2].partition(": ")[2] for one in caught.value.problems] == [
        'source "web", schema: \'forwardingViolationsTo\' makes a circle: "third" forwards back',
        'source "third", schema: \'forwardingBlockedEventsTo\' makes a circle: "web" forwards back',
    ]


def test_settings_that_need_a_plan_are_warned_of_without_one(tmp_path: Path) -> None:
    def told(text: str) -> list[str]:
        return [one.message for one in read(tmp_path, text).warnings if "without a plan" in one.message]

    assert told("[source.schema]\ntrack = { allowUnplannedEvents = false }") == ["source \"web\", schema: 'track' does nothing without a plan"]
    assert told("[source.schema]\ntraits = { email = false }") == []
    assert told('plan = "shop"\n[source.schema]\ntrack = { allowUnplannedEvents = false }') == []
