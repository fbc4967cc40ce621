"""The part of a workspace that the UI owns: laid over the files, which win."""

from pathlib import Path

import pytest

from relay.config.settings import Settings
from relay.config.tree import read_tree
from relay.errors import Problem
from relay.workspace.assemble import assemble, digest
from relay.workspace.model import Workspace
from relay.workspace.rules import EventSetting
from relay.workspace.stored import NOTHING, Stored, Switches, merged
from tests.unit.test_assemble import CATALOG

FILE = '[[source]]\nslug = "web"\nwrite_key = "wk"\n'
OWNED = FILE + '[source.schema.events."Order Completed"]\nenabled = false\n[source.schema.traits]\nemail = false\n'
BLOCKED = EventSetting(enabled=False)


def made(text: str, folder: Path, stored: Stored) -> tuple[Workspace, list[Problem]]:
    path = folder / "relay.toml"
    path.write_text(text)
    return assemble(read_tree(path, environment={}), Settings.defaults(), {}, stored=stored)


def test_a_document_comes_back_as_it_was() -> None:
    stored = Stored({"web": Switches({"A": EventSetting(False, {"ga4": False})}, {"email": False})}, {"web": {"traits.email": "red"}})
    assert Stored.of(stored.text()) == stored
    assert Stored.of("{}") == NOTHING


def test_what_says_nothing_is_not_kept() -> None:
    stored = NOTHING.with_switches("web", Switches({"A": BLOCKED})).with_color("web", "traits.a", "red")
    assert stored.with_switches("web", Switches()).with_color("web", "traits.a", "") == NOTHING


def test_switches_are_laid_over_a_source_and_make_another_workspace(tmp_path: Path) -> None:
    plain, _ = made(FILE, tmp_path, NOTHING)
    stored = Stored({"web": Switches({"A": BLOCKED}, {"email": False}), "gone": Switches({"B": BLOCKED})}, {"web": {"traits.a": "red"}, "gone": {}})
    workspace, _ = made(FILE, tmp_path, stored)
    (source,) = workspace.sources
    assert (source.schema.events, source.schema.traits, source.schema_places) == ({"A": BLOCKED}, {"email": False}, {})
    assert workspace.colors == {"web": {"traits.a": "red"}}
    assert digest(workspace) != digest(plain)


def test_a_file_wins_and_says_so(tmp_path: Path) -> None:
    given = Switches({"Order Completed": EventSetting(True, {"x": False}), "Other": BLOCKED}, {"email": True, "phone": False})
    workspace, warnings = made(OWNED, tmp_path, Stored({"web": given}))
    (source,) = workspace.sources
    assert source.schema.events == {"Order Completed": BLOCKED, "Other": BLOCKED}
    assert source.schema.traits == {"email": False, "phone": False}
    assert {key: place.line for key, place in source.schema_places.items()} == {("events", "Order Completed"): 4, ("traits", "email"): 7}
    told = [one for one in warnings if "the file decides" in one.message]
    assert [one.place and one.place.line for one in told] == [4, 7]


@pytest.mark.parametrize("slug", ["archive", "gone"])
def test_a_destination_that_was_removed_needs_no_switch(tmp_path: Path, slug: str) -> None:
    stored = Stored({"web": Switches({"A": EventSetting(True, {slug: False})})})
    text = FILE + '[[destination]]\nslug = "archive"\ntype = "archive"\n'
    path = tmp_path / "relay.toml"
    path.write_text(text)
    workspace, _ = assemble(read_tree(path, environment={}), Settings.defaults(), CATALOG, stored=stored)
    assert workspace.sources[0].schema.events["A"].integrations == ({slug: False} if slug == "archive" else {})


def test_decided_fields_come_under_the_rules_that_name_their_colour(tmp_path: Path) -> None:
    text = OWNED + '[source.privacy]\nblock = ["red"]\nmask = ["YELLOW", "traits.plan"]\n'
    colors = {"traits.a": "red", "traits.b": "yellow", "traits.c": "green"}
    plain, _ = made(text, tmp_path, NOTHING)
    workspace, _ = made(text, tmp_path, Stored({}, {"web": colors}))
    before, after = plain.sources[0].privacy, workspace.sources[0].privacy
    assert [one.path for one in after.block[len(before.block) :]] == ["traits.a"]
    assert [one.path for one in after.mask[len(before.mask) :]] == ["traits.b"]
    assert (after.entries, after.hash) == (before.entries, before.hash)


def test_of_several_decisions_about_a_field_the_stricter_counts() -> None:
    colors = {"web": {"traits.a": "green", "traits.b": "yellow"}, "app": {"traits.a": "yellow", "traits.b": "red"}, "other": {"traits.c": "red"}}
    assert merged(colors, ["web", "app"]) == {"traits.a": "yellow", "traits.b": "red"}
