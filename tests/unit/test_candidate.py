"""A change that is not saved: laid over the configuration, judged by the usual readers, with places inside the change."""

from pathlib import Path
from typing import Any

import pytest

from relay.destinations import load_catalog
from relay.errors import ConfigError
from relay.workspace.assemble import load
from relay.workspace.model import Workspace
from tests.support.app import source, table

CONFIG = (
    source("web", plan="shop")
    + table("plan", {"slug": "shop", "file": "shop.json"})
    + table("destination", {"slug": "first", "type": "archive"})
    + table("destination", {"slug": "orders", "type": "webhook", "settings": {"url": "https://hooks.example.com", "shared_secret": "s"}})
    + table("destination.mapping", {"name": "paid", "action": "send", "trigger": 'event = "Paid"'})
)


def candidate(folder: Path, changes: dict[str, Any]) -> Workspace:
    path = folder / "relay.toml"
    path.write_text(CONFIG)
    (folder / "shop.json").write_text('{"rules": []}')
    return load(path, load_catalog(), environment={}, changes=changes).workspace


def problems(folder: Path, changes: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        candidate(folder, changes)
    return [(one.place.file if one.place else "", one.message) for one in caught.value.problems]


def test_a_change_takes_the_place_of_what_stands_in_the_file_and_of_nothing_else(tmp_path: Path) -> None:
    mapping = [{"name": "sold", "action": "send", "trigger": 'event = "Sold"'}]
    changed = candidate(tmp_path, {"destinations": {"orders": {"mapping": mapping, "consent_categories": ["ads"]}}})
    before = candidate(tmp_path, {})
    assert changed.destinations[0] == before.destinations[0]
    assert [one.trigger for one in changed.destinations[1].subscriptions] == ['event = "Sold"']
    assert changed.destinations[1].consent_categories == ("ads",)
    assert changed.destinations[1].settings == before.destinations[1].settings
    assert (tmp_path / "relay.toml").read_text() == CONFIG


def test_mistakes_have_their_place_inside_the_change(tmp_path: Path) -> None:
    mapping = [{"name": "sold", "action": "send", "trigger": 5}]
    found = problems(tmp_path, {"destinations": {"orders": {"mapping": mapping, "filter": [{"if": "all", "actions": [{"type": "DORP"}]}]}}})
    places = [place for place, _ in found]
    assert "destinations.orders.mapping[0].trigger" in places
    assert any(place.startswith("destinations.orders.filter[0].actions[0].type") for place in places)


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"destination": {}}, "destination", "'destination' cannot be changed"),
        ({"destinations": {"order": {}}}, "destinations.order", "the configuration has no destination 'order'"),
        ({"destinations": {"orders": {"settings": {}}}}, "destinations.orders.settings", "'settings' of a destination cannot be changed here"),
        ({"destinations": {"orders": []}}, "destinations.orders", "must be an object"),
        ({"sources": 3}, "sources", "must be an object"),
        ({"sources": {"web": {"plan": "none"}}}, "sources.web.plan", "source \"web\": unknown plan 'none'"),
    ],
)
def test_what_cannot_be_changed_is_told(changes: dict[str, Any], place: str, message: str, tmp_path: Path) -> None:
    assert (place, message) in problems(tmp_path, changes)


def test_the_rules_of_a_plan_stand_for_those_of_its_file(tmp_path: Path) -> None:
    rule = {"type": "TRACK", "key": "Paid", "jsonSchema": {"type": "object"}}
    plan = candidate(tmp_path, {"plans": {"shop": {"rules": [rule]}}}).plans[0]
    assert ([one.key for one in plan.rules], Path(plan.file).name) == (["Paid"], "shop.json")
    wrong = rule | {"jsonSchema": {"type": "objekt"}}
    assert problems(tmp_path, {"plans": {"shop": {"rules": [rule, wrong]}}})[0][0] == "plans.shop.rules[1].jsonSchema.type"
    assert problems(tmp_path, {"plans": {"shop": {"file": "other.json"}}})[0][0] == "plans.shop.file"
    assert problems(tmp_path, {"plans": {"shop": {"rules": {}}}})[0][0].startswith("plans.shop")
