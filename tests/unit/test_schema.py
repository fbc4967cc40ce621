"""`relay check --schema`: what relay takes is valid, and what it refuses in a file's form is not."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from relay.cli import main
from relay.config.settings import SPECS
from relay.destinations import load_catalog
from relay.errors import ConfigError
from relay.workspace.assemble import load
from relay.workspace.schema import file_schema
from tests.unit.test_conf_example import EXAMPLE, uncommented

MINIMAL = """
[[source]]
slug = "web"
write_key = "wk_web"

[[destination]]
slug = "orders"
type = "webhook"
sources = ["web"]
allow_private = ["127.0.0.1:9000"]
settings = { url = "http://127.0.0.1:9000/hook", shared_secret = "s" }

[[destination.mapping]]
action = "send"
trigger = 'type = "track"'
"""
LAST = MINIMAL.splitlines()[-1]
SCHEMA = file_schema(load_catalog())
VALIDATOR = jsonschema_rs.Draft7Validator(SCHEMA)


def mistakes(text: str) -> list[str]:
    return [f"{error.instance_path}: {error.message}" for error in VALIDATOR.iter_errors(tomllib.loads(text))]


def taken(text: str, folder: Path) -> bool:
    """Whether relay itself takes the file."""
    (folder / "relay.toml").write_text(text)
    try:
        load(folder / "relay.toml", load_catalog(), environment={"X": "info"})
    except ConfigError:
        return False
    return True


def test_it_is_a_schema_of_draft_7_and_holds_every_setting() -> None:
    assert jsonschema_rs.meta.is_valid(SCHEMA)
    for spec in SPECS:
        assert spec.help in SCHEMA["properties"][spec.table]["properties"][spec.name]["description"]


@pytest.mark.parametrize("text", [EXAMPLE.read_text(), uncommented(), MINIMAL, ""], ids=["shipped", "uncommented", "minimal", "empty"])
def test_files_that_hold_are_valid(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    "more",
    [
        '[log]\nlevel = "${X}"',
        '[delivery]\nschedule_s = [1, 5.5]\nrate_per_s = 2',
        '[[alerts.rule]]\nname = "success rate"\nthreshold = 0.5',
        '[[source]]\nslug = "ios"\nwrite_keys = ["a", "b"]',
        '[[destination]]\nslug = "keep"\ntype = "archive"',
        '[[destination.filter]]\nif = "all"\nid = "f1"\nactions = [{ type = "SAMPLE", percent = 0.1 }, { type = "DROP_PROPERTIES", fields = { "" = ["x"] } }]',
        '[[destination.transformation]]\nif = "all"\nallowProperties = []\npropertyValueTransformations = [{ propertyPaths = ["a"], propertyValue = [1] }]',
        '[[destination.transformation]]\nif = "all"\nhashPropertiesConfiguration = { paths = ["a"], key = "${X}" }\nnewEventName = "B"',
        '[[destination]]\nslug = "pg"\ntype = "postgres"\nsettings = { host = "h", database = "d", user = "u" }\nsync = { exclude = ["users.phone"] }',
        '[[destination]]\nslug = "x"\ntype = "archive"\nprivacy = { block = ["red", "traits.iban"], mask = ["yellow"], hash = [] }',
        '[[matcher]]\nname = "badge"\ncolor = "red"\non = "value"\npattern = "B-[0-9]"\n[[matcher]]\nname = "x"\nmatch = "similar"\nsynonyms = ["y"]',
        '[[destination]]\nslug = "two"\ntype = "webhook"\norder = "none"\nsettings = { url = "https://x.example", sharedSecret = "" }',
    ],
)  # fmt: skip
def test_what_relay_takes_is_valid(more: str, tmp_path: Path) -> None:
    text = f"{MINIMAL}\n{more}\n"
    assert taken(text, tmp_path)
    assert mistakes(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('slug = "web"', 'slug = "Web shop"'), ('write_key = "wk_web"', ""), ('write_key = "wk_web"', 'write_key = "a"\nwrite_keys = ["b"]'),
        ('type = "webhook"', 'type = "webhok"'), ('type = "webhook"', ""), ("shared_secret", "shared_secrets"), ("url =", "uri ="),
        ('sources = ["web"]', 'sources = "web"'), ('sources = ["web"]', 'sources = ["web"]\nrate_per_sec = 50'),
        ('sources = ["web"]', 'sources = ["web"]\nconcurrency = 0'), ('action = "send"', 'action = "sent"'),
        ('action = "send"', 'action = "send"\nfields = { dat = 1 }'), ("[[source]]", "[server]\nlisten = 8000\n[[source]]"),
        ("[[source]]", '[log]\nlevel = "loud"\n[[source]]'), ("[[source]]", "[servr]\n[[source]]"),
        ("[[source]]", "[delivery]\nschedule_s = [0]\n[[source]]"), ("[[source]]", '[[alerts.rule]]\nkind = "succes"\n[[source]]'),
        (LAST, f'{LAST}\n[destination.privacy]\nblocked = ["red"]'),
        (LAST, f'{LAST}\n[destination.privacy]\npublic_key = "x"'),
        (LAST, f'{LAST}\n[[matcher]]\ncolor = "red"'),
        (LAST, f'{LAST}\n[[matcher]]\nname = "x"\ncolor = "green"'),
        (LAST, f'{LAST}\n[[matcher]]\nname = "x"\nmatch = "like"'),
        (LAST, f'{LAST}\n[[destination.filter]]\nif = "all"'),
        (LAST, f'{LAST}\n[[destination.filter]]\nactions = [{{ type = "DROP" }}]'),
        (LAST, f'{LAST}\n[[destination.filter]]\nif = "all"\nactions = [{{ type = "SAMPLE" }}]'),
        (LAST, f'{LAST}\n[[destination.filter]]\nif = "all"\nactions = [{{ type = "DROP", percent = 1 }}]'),
        (LAST, f'{LAST}\n[[destination.filter]]\nif = "all"\nactions = [{{ type = "DROP_PROPERTIES", fields = {{ context = "ip" }} }}]'),
        (LAST, f'{LAST}\n[[destination.transformation]]\nif = "all"\npropertyRenames = [{{ oldName = "a" }}]'),
        (LAST, f'{LAST}\n[[destination.transformation]]\nif = "all"\nhashPropertiesConfiguration = {{ algorithm = "SHA3", paths = ["a"] }}'),
        ("[[source]]", '[[alerts.rule]]\nkind = "disk"\nthreshold = 70\n[[source]]'), ("[[source]]", '[[alerts.rule]]\nname = "mine"\n[[source]]'),
    ],
)  # fmt: skip
def test_a_wrong_file_is_not_valid(old: str, new: str, tmp_path: Path) -> None:
    text = MINIMAL.replace(old, new, 1)
    assert not taken(text, tmp_path)
    assert mistakes(text)


def test_check_prints_it_without_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(SCHEMA))
