"""The rules that people are told: laid over the configuration again they change nothing, and a hash key is never among them."""

from pathlib import Path
from typing import Any

import pytest

from relay.base.secret import MASK
from relay.control.rules_view import destination_rules, source_rules
from relay.destinations import load_catalog
from relay.errors import ConfigError
from relay.workspace.assemble import load
from relay.workspace.digest import document
from relay.workspace.model import Workspace
from tests.support.app import source, table

HASHED = {"algorithm": "SHA512", "paths": ["traits.email"], "key": "very-secret"}
FILTERS: list[dict[str, Any]] = [
    {"title": "tests", "if": "event = 'Test'", "actions": [{"type": "DROP"}]},
    {"if": "all", "enabled": False, "actions": [{"type": "SAMPLE", "percent": 0.0, "path": "userId"}, {"type": "DROP_PROPERTIES", "fields": {"context": ["ip"]}}]},
]  # fmt: skip
CHANGES: list[dict[str, Any]] = [
    {
        "name": "names", "if": "event = 'a'", "newEventName": "A", "propertyRenames": [{"oldName": "properties.a", "newName": "properties.b"}],
        "propertyValueTransformations": [{"propertyPaths": ["properties.c", "context.c"], "propertyValue": 1}, {"propertyPaths": ["d"], "propertyValue": True}],
        "hashPropertiesConfiguration": HASHED,
    },
    {"if": "event = 'b'", "fqlDefinedProperties": [{"fql": "lowercase(properties.x)", "propertyName": "properties.y"}], "allowProperties": ["properties.x"]},
    {"if": "event = 'c'", "allowProperties": []},
    {"if": "event = 'd'", "drop": True, "enabled": False},
]  # fmt: skip
CONFIG = (
    source("web", transformation=CHANGES, privacy={"mask": ["email"]})
    + table("destination", {"slug": "orders", "type": "webhook", "filter": FILTERS, "transformation": CHANGES, "consent_categories": ["ads"]})
    + table("destination.settings", {"url": "https://hooks.example.com"}).replace("[[", "[").replace("]]", "]")
)


def read(folder: Path, changes: dict[str, Any] | None = None) -> Workspace:
    path = folder / "relay.toml"
    path.write_text(CONFIG)
    return load(path, load_catalog(), environment={}, changes=changes).workspace


def rules(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As a page sends them: with the number by which a hash key is found again."""
    return [one["rule"] | {"id": one["id"]} for one in told]


def test_what_is_told_says_the_same_as_the_file(tmp_path: Path) -> None:
    before = read(tmp_path)
    of_source, of_destination = source_rules(before.sources[0]), destination_rules(before.destinations[0])
    assert "very-secret" not in str((of_source, of_destination))
    assert of_source["transformations"][0]["rule"]["hashPropertiesConfiguration"]["key"] == MASK
    changes = {
        "sources": {"web": {"transformation": rules(of_source["transformations"])}},
        "destinations": {"orders": {"filter": rules(of_destination["filters"]), "transformation": rules(of_destination["transformations"])}},
    }
    assert document(read(tmp_path, changes)) == document(before)
    assert of_destination["filters"][0]["rule"] == FILTERS[0]
    assert of_destination["transformations"][2]["rule"] == CHANGES[2]
    assert (of_source["privacy"], of_destination["consent_categories"]) == ([{"how": "mask", "entry": "email"}], ["ads"])


def test_each_rule_has_the_line_where_it_stands(tmp_path: Path) -> None:
    first, *_ = source_rules(read(tmp_path).sources[0])["transformations"]
    assert (Path(first["place"]["file"]).name, first["place"]["line"]) == ("relay.toml", 5)


def test_a_key_moves_with_its_rule_and_a_rule_without_one_gets_none(tmp_path: Path) -> None:
    first, second, *_ = rules(source_rules(read(tmp_path).sources[0])["transformations"])
    moved = read(tmp_path, {"sources": {"web": {"transformation": [second, first]}}})
    hashing = moved.sources[0].transformations[1].hashing
    assert hashing and hashing.key.reveal() == "very-secret"
    with pytest.raises(ConfigError, match="'key' is empty"):
        read(tmp_path, {"sources": {"web": {"transformation": [first | {"id": "1"}]}}})
