"""The catalog: every definition is told whole, on the command line as in the console, with its README."""

import json
from dataclasses import fields
from typing import Any

import pytest

from relay.cli import main
from relay.cli.catalog import open_catalog
from relay.destinations import load_catalog, readme_of
from relay.kit.definition import Definition, Setting

CATALOG = load_catalog()


@pytest.mark.parametrize("slug", sorted(CATALOG))
def test_a_definition_is_told_whole(slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", slug, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    definition = CATALOG[slug]
    assert [one["name"] for one in told["settings"]] == [one.name for one in definition.settings]
    assert {one["slug"]: [field["name"] for field in one["fields"]] for one in told["actions"]} == {
        name: [field.name for field in action.fields] for name, action in definition.actions.items()
    }
    assert set(told["methods"]) == definition.methods
    assert set(told["settings"][0] if told["settings"] else {"key"}) >= ({field.name for field in fields(Setting)} if told["settings"] else set())
    assert told["readme"].startswith("# ")


def test_every_definition_fits_on_a_screen_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted(CATALOG)
    assert main(["catalog", "hubspot"]) == 0
    text = capsys.readouterr().out
    assert "access_token" in text
    assert "upsertContact" in text


def test_a_cell_names_the_first_choices_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "klaviyo"]) == 0
    assert "One of AD, AE, AF, AG, AI, AL, AM, AO, … and 239 more. " in capsys.readouterr().out


def test_the_whole_catalog_as_json_is_what_the_console_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(open_catalog().all()))


def test_a_slug_that_is_not_there_matches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "nope"]) == 4
    assert "hubspot" in capsys.readouterr().err


def test_a_definition_without_a_readme_has_an_empty_one() -> None:
    assert readme_of("nope") == ""
    assert Definition("nope", "Nope").test is None
