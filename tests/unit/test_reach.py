"""Which calls of a source reach a destination, as its triggers tell."""

import json
from pathlib import Path

import pytest

from relay.base.event import TYPES
from relay.cli import main
from relay.kit.fql import possible_types

SOURCE = '[[source]]\nslug = "web"\nwrite_key = "${IT_KEY}"\n\n'
TO = '[[destination]]\nslug = "it"\ntype = "{type}"\nsources = ["{source}"]\nsettings = {settings}\n'


@pytest.mark.parametrize(
    ("trigger", "types"),
    [
        ('type = "track"', {"track"}),
        ('type = "track" and event = "Bought"', {"track"}),
        ('event = "Bought"', set(TYPES)),
        ('(type = "page" or type = "screen") and contains(name, "a")', {"page", "screen"}),
        ('type != "track"', set(TYPES) - {"track"}),
        ('match(type, "s*")', {"screen"}),
        ('!contains(type, "a")', {"identify", "screen", "group"}),
        ('type = "track" or properties.plan = null', set(TYPES)),
        ('type = "track" and type = "page"', set()),
    ],
)
def test_a_trigger_tells_which_types_may_match(trigger: str, types: set[str]) -> None:
    assert possible_types(trigger) == types


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IT_KEY", "key-dev")
    monkeypatch.setenv("IT_URL", "https://hooks.slack.com/services/T/B/K")


def checked(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, list[dict[str, object]]]]:
    path = tmp_path / "relay.toml"
    path.write_text(text)
    code = main(["check", str(path), "--no-network", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


MAPPING = '\n[[destination.mapping]]\naction = "upsertContact"\ntrigger = \'type = "identify"\'\n'
HUBSPOT = TO.format(type="hubspot", source="web", settings='{ access_token = "${IT_KEY}" }')


def test_calls_that_no_mapping_takes_are_remarked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = checked(tmp_path, SOURCE + HUBSPOT + MAPPING, capsys, "--strict")
    assert (code, told["warnings"]) == (0, [])
    assert told["unreached"] == [{"destination": "it", "sources": ["web"], "types": [kind for kind in TYPES if kind != "identify"], "is_all": False}]


def test_a_destination_that_nothing_reaches_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = checked(tmp_path, SOURCE + HUBSPOT, capsys, "--strict")
    assert code == 1
    assert "no call of web reaches it" in str(told["warnings"][-1]["message"])


def test_the_source_relay_sends_track_calls_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = '{ url = "${IT_URL}" }'
    _, told = checked(tmp_path, SOURCE + TO.format(type="slack", source="relay", settings=url), capsys)
    assert [one["message"] for one in told["warnings"] if "reaches" in str(one["message"])] == told["unreached"] == []
