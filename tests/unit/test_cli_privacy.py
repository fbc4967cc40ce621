"""`relay privacy`: keys that are shown once, fields that are classified, values that are read again."""

import json
import stat
from pathlib import Path

import pytest

from relay.cli import main
from relay.kit.encryption import compile_encryption

EVENT = {
    "traits": {"email": "ada@example.com"},
    "properties": {"password": "hunter2", "total": 5, "list": [{"phone": "1"}, {"phone": "2"}], "badge": 1},
}


def test_a_pair_encrypts_and_decrypts(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["privacy", "key", "--out-public", str(tmp_path / "public.pem")]) == 0
    printed = capsys.readouterr()
    assert "PRIVATE KEY" in printed.out
    assert "only time" in printed.err
    assert "PRIVATE KEY" not in printed.err + (tmp_path / "public.pem").read_text()
    (tmp_path / "private.pem").write_text(printed.out)
    encrypt = compile_encryption((tmp_path / "public.pem").read_text())
    (tmp_path / "values").write_text(f"{encrypt('short')}\n\n{encrypt('long ' * 100)}\nAAAA\n")
    with (tmp_path / "values").open() as values:
        monkeypatch.setattr("sys.stdin", values)
        assert main(["privacy", "decrypt", "--key", str(tmp_path / "private.pem")]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["short", "long " * 100]
    assert "value 3: it was not encrypted for this key, or is damaged" in printed.err


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "public.pem"
    file.write_text("old")
    assert main(["privacy", "key", "--out-public", str(file)]) == 73
    assert file.read_text() == "old"
    assert capsys.readouterr().out == ""


def test_the_length_of_the_key_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "key", "--bits", "3072", "--json", "--out-public", str(tmp_path / "p.pem")]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["public_key"] == (tmp_path / "p.pem").read_text()
    assert len(made["private_key"]) > 2_400
    assert main(["privacy", "key", "--bits", "1024", "--out-public", str(tmp_path / "q.pem")]) == 2
    assert stat.S_ISREG((tmp_path / "p.pem").stat().st_mode)
    assert not (tmp_path / "q.pem").exists()


def test_fields_are_classified_without_their_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    assert main(["privacy", "classify", str(tmp_path / "event.json")]) == 0
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines()] == [
        ["PATH", "COLOUR", "MATCHER"],
        ["traits.email", "yellow", "email"],
        ["properties.password", "red", "password"],
        ["properties.list.phone", "yellow", "phone"],
    ]
    assert "hunter2" not in printed
    (tmp_path / "relay.toml").write_text('[[matcher]]\nname = "badge"\ncolor = "red"\n')
    assert main(["privacy", "classify", "--json", "--config", str(tmp_path / "relay.toml"), str(tmp_path / "event.json")]) == 0
    assert {"path": "properties.badge", "color": "red", "matcher": "badge"} in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("text", "said"), [("{", "this is no JSON"), ("[]", "this is no event")])
def test_what_is_no_event_is_told(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "event.json").write_text(text)
    assert main(["privacy", "classify", str(tmp_path / "event.json")]) == 2
    assert said in capsys.readouterr().err


def test_a_wrong_matcher_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "event.json").write_text("{}")
    (tmp_path / "relay.toml").write_text('[[matcher]]\ncolor = "red"\n')
    assert main(["privacy", "classify", "--config", str(tmp_path / "relay.toml"), str(tmp_path / "event.json")]) == 78
    assert "relay.toml:1: matcher 1: a matcher needs a name" in capsys.readouterr().err
