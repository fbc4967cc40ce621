"""The command line without a server: exit codes, messages, streams, times, rehearsals."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from relay.cli import COMMANDS, exits, main, root
from relay.cli.checkup import of_data_folder
from relay.cli.doctor import of_destinations
from relay.cli.moments import parse_moment_s, parse_span_s, show_span
from relay.cli.output import wants_color
from relay.cli.progress import Progress
from relay.cli.send import batches, build_message, pairs, read_messages
from relay.database.connect import open_writer
from relay.database.folder import hold_lock
from relay.database.migrate import load_steps
from relay.errors import ConfigError, DamagedError, LockedError, Overloaded, RequestError, StoreError

GOOD = """
[[source]]
slug = "web"
write_key = "wk_web"

[[destination]]
slug = "orders"
type = "webhook"
sources = ["web"]
allow_private = ["127.0.0.1:9"]
settings = { url = "http://127.0.0.1:9/hook", shared_secret = "hidden-secret" }

[[destination.mapping]]
action = "send"
trigger = 'type = "track"'
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working folder, without anything of the caller's environment."""
    for name in list(os.environ):
        if name.startswith("RELAY"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def config(home):
    path = home / "relay.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LockedError(), 3), (DamagedError(), 65), (StoreError(), 74), (OSError(5, "Input/output error"), 74), (PermissionError(13, "Permission denied"), 77),
        (FileExistsError("there"), 73), (RequestError(401, "unauthorized"), 77), (RequestError(404, "not_found"), 4), (KeyboardInterrupt(), 130),
        (click.Abort(), 130), (exits.Failure(69, "away"), 69), (click.UsageError("what?"), 2), (SystemExit(7), 7), (SystemExit(None), 0),
        (ExceptionGroup("one", [LockedError()]), 3), (ValueError("oops"), 70), (Overloaded(), 70),
    ],
)  # fmt: skip
def test_every_ending_has_the_exit_code_of_the_table(error, code, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert exits.report(error) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_leaves_its_traceback_in_a_file_and_the_path_on_the_screen(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    try:
        raise ZeroDivisionError("of all things")
    except ZeroDivisionError as error:
        assert exits.report(error) == 70
    (saved,) = tmp_path.iterdir()
    assert str(saved) in capsys.readouterr().err
    assert "ZeroDivisionError: of all things" in saved.read_text()
    assert saved.stat().st_mode & 0o077 == 0


def test_all_mistakes_of_a_configuration_are_shown_with_file_and_line(config, capsys):
    config.write_text(GOOD.replace("write_key =", "wrte_key =").replace('type = "webhook"', 'type = "webhok"'))
    assert main(["check", str(config), "--no-network"]) == 78
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"error: {config}:4:" in shown.err
    assert "errors. Nothing was started." in shown.err
    with pytest.raises(ConfigError):
        CliRunner().invoke(root, ["check", str(config)], catch_exceptions=False)


def test_check_prints_the_effective_configuration_with_origins_and_without_secrets(config, capsys):
    assert main(["check", str(config), "--no-network", "--print", "--set", "log.level=debug"]) == 0
    shown = capsys.readouterr()
    assert "hidden-secret" not in shown.out + shown.err
    assert "wk_web" not in shown.out
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert 'level = "debug" # --set' in lines
    assert "keep_h = 72 # default" in lines
    assert f"[[destination]] # {config}:6" in lines


@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 1)])
def test_warnings_fail_a_check_only_when_strict(config, strict, code, capsys):
    assert main(["check", str(config), "--no-network", "--json", *strict]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is (code == 0)
    assert answer["errors"] == []
    assert all(set(one) == {"message", "file", "line", "column", "remedy"} for one in answer["warnings"])
    assert answer["warnings"]


def test_a_wrong_configuration_is_one_json_document_too(config, capsys):
    config.write_text("[nonsense]\n")
    assert main(["check", str(config), "--json"]) == 78
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["errors"][0]["line"] == 1


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["serv"], "serve"), (["ded"], "dead"), (["dead", "lst"], "ls"), (["serve", "--confg", "x"], "--config"), (["version", "--jsn"], "--json")],
)
def test_a_misspelled_command_or_option_gets_the_nearest_match(words, hint, home, capsys):
    assert main(words) == 2
    assert f"Did you mean '{hint}'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself_with_its_summary_and_two_examples(name):
    help_text = CliRunner().invoke(root, [name, "--help"]).output
    body = help_text.partition("\n\n")[2]
    assert body.strip().splitlines()[0].startswith(COMMANDS[name][1].rstrip(".").split(",")[0].split(";")[0].split(" of the")[0][:20])
    assert body.count(f"  relay {name}") >= 2


def test_every_command_but_serve_and_groups_speaks_json():
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
        for one in commands:
            options = {option for parameter in one.params for option in parameter.opts}
            assert {"-q", "-v", "--no-color"} <= options
            assert ("--json" in options) is (name != "serve")


def run(*words, **options):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, **options)


def test_version_needs_neither_aiohttp_nor_a_long_start(home):
    code = "import sys; from relay.cli import main; assert main(['version']) == 0; print([m for m in ('aiohttp', 'rich', 'relay.app') if m in sys.modules])"
    done = run("-c", code)
    assert done.stdout.splitlines()[0].startswith("relay ")
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_ends_silently_with_0(config):
    with subprocess.Popen(
        [sys.executable, "-m", "relay", "check", str(config), "--no-network", "--print", "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert b"Traceback" not in process.stderr.read()


def test_version_as_json_has_pinned_keys(capsys):
    assert main(["version", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["relay", "python", "sqlite", "platform", "commit"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_there_for_three_shells(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "_RELAY_COMPLETE" in capsys.readouterr().out


def test_completion_offers_the_lazy_commands(home):
    environment = dict(os.environ, _RELAY_COMPLETE="bash_complete", COMP_WORDS="relay re", COMP_CWORD="1")
    offered = run("-m", "relay", env=environment).stdout.split()
    assert {word.partition(",")[2] for word in offered} >= {"replay", "resume", "restore", "recover"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), ("1h30m", 5400), ("2w", 1209600), ("1.5h", 5400)]
)
def test_spans(text, seconds):
    assert parse_span_s(text) == seconds
    assert parse_moment_s(text, 2_000_000.0) == 2_000_000.0 - seconds


@pytest.mark.parametrize(
    ("text", "moment_s"), [("1970-01-02", 86400), ("1970-01-01T00:01:00Z", 60), ("1970-01-01T01:00:00+01:00", 0), ("1970-01-01 00:00:05", 5)]
)
def test_iso_times_without_a_zone_are_utc(text, moment_s):
    assert parse_moment_s(text, 0.0) == moment_s


@pytest.mark.parametrize("text", ["", "7", "d", "yesterday", "7 d", "-1h", "1h2"])
def test_what_is_no_time_is_wrong_usage(text):
    with pytest.raises(ValueError, match="neither a span"):
        parse_moment_s(text, 0.0)


def test_spans_are_shown_in_fitting_units():
    assert [show_span(value) for value in (5, 600, 9000, 200_000)] == ["5 s", "10 min", "2.5 h", "2.3 d"]


@pytest.mark.parametrize(
    ("terminal", "environment", "wanted"),
    [
        (True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False), (False, {"FORCE_COLOR": "1"}, True),
        (True, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True),
    ],
)  # fmt: skip
def test_colour_is_for_terminals_that_want_it(terminal, environment, wanted):
    assert wants_color(terminal, environment) is wanted


def test_pairs_take_json_and_nest_by_dots():
    words = ["total=9.5", "name=Ann", "cart.items=[1]", "cart.open=true", "note=a=b", 'text="5"']
    assert pairs(words, "--prop") == {"total": 9.5, "name": "Ann", "cart": {"items": [1], "open": True}, "note": "a=b", "text": "5"}
    for wrong in (["novalue"], ["a=1", "a.b=2"]):
        with pytest.raises(click.BadParameter):
            pairs(wrong, "--prop")


def test_a_message_without_a_user_gets_an_anonymous_id():
    assert build_message("track", "E", "u", None, [], []) == {"type": "track", "event": "E", "userId": "u"}
    made = build_message("page", "Home", None, None, ["a=1"], [])
    assert made["name"] == "Home"
    assert made["anonymousId"].startswith("cli-")
    with pytest.raises(click.UsageError):
        build_message("track", None, "u", None, [], [])


@pytest.mark.parametrize(
    "text", ['{"a": 1}', '[{"a": 1}]', '{"batch": [{"a": 1}]}', '{"a": 1}\n\n', '\ufeff{"a": 1}'], ids=["object", "array", "batch", "lines", "bom"]
)
def test_message_files_come_in_many_forms(text, tmp_path):
    path = tmp_path / "messages.json"
    path.write_text(text)
    assert read_messages(path, "track") == [{"type": "track", "a": 1}]


def test_a_broken_line_of_a_message_file_is_named(tmp_path):
    path = tmp_path / "messages.ndjson"
    path.write_text('{"a": 1}\n{"a":\n')
    with pytest.raises(exits.Failure, match=r"messages.ndjson:2: is no JSON"):
        read_messages(path, None)


def test_batches_keep_to_the_limits_of_a_request():
    assert [len(batch) for batch in batches([{"n": number} for number in range(250)])] == [100, 100, 50]
    assert [len(batch) for batch in batches([{"text": "x" * 150_000}] * 3)] == [2, 1]


def test_a_rehearsal_shows_the_request_and_hides_the_secret(config, capsys):
    assert main(["send", "track", "--event", "E", "--user", "u", "--dry-run", "orders", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["events"]
    assert answer["outcome"] == "would send"
    (request,) = answer["requests"]
    assert (request["method"], request["url"]) == ("POST", "http://127.0.0.1:9/hook")
    assert request["headers"]["X-Signature"] == "•••"
    assert json.loads(request["body"])["event"] == "E"
    assert "hidden-secret" not in json.dumps(answer)


def test_a_rehearsal_says_why_nothing_would_be_sent(config, capsys):
    assert main(["send", "identify", "--user", "u", "--dry-run", "orders", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["events"]
    assert (answer["outcome"], answer["code"], answer["requests"]) == ("filtered", "NO_MATCHING_MAPPING", [])


@pytest.mark.parametrize(("words", "code"), [(["--dry-run", "nobody"], 4), (["--dry-run", "orders", "--source", "nobody"], 4)])
def test_a_rehearsal_of_unknown_names_matches_nothing(words, code, config, capsys):
    assert main(["send", "track", "--event", "E", *words]) == code
    assert "nobody" in capsys.readouterr().err


def test_nobody_answering_is_exit_69_with_a_remedy(home, capsys):
    assert main(["health", "--url", "http://127.0.0.1:9"]) == 69
    assert "relay serve" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "ftp://x", "http://", "http://[::1", "http://x:notaport"])
def test_what_is_no_url_is_wrong_usage(url, home, capsys):
    assert main(["health", "--url", url]) == 2
    assert "is no URL of a relay" in capsys.readouterr().err


def test_a_token_file_that_cannot_be_read_is_not_allowed(home, capsys):
    assert main(["token", "ls", "--token-file", "none.token"]) == 77
    assert "none.token" in capsys.readouterr().err


def test_set_without_a_value_is_wrong_usage(home, capsys):
    assert main(["serve", "--set", "log.level"]) == 2
    assert "key=value" in capsys.readouterr().err


def test_discard_without_a_filter_is_refused(home, capsys):
    assert main(["dead", "discard", "--yes"]) == 2
    assert "--to" in capsys.readouterr().err


def test_backup_and_restore_name_the_file_that_is_missing_or_in_the_way(home, capsys):
    assert main(["backup", "copy.db"]) == 74
    assert main(["restore", "copy.db"]) == 74
    (home / "copy.db").write_text("mine")
    assert main(["backup", "copy.db"]) == 73
    assert (home / "copy.db").read_text() == "mine"
    assert capsys.readouterr().err.count("copy.db") >= 2


def test_doctor_reports_and_packs_without_secrets(config, home, capsys):
    bundle = home / "help.tgz"
    assert main(["doctor", "--url", "http://127.0.0.1:9", "--json", "--bundle", str(bundle)]) in (0, 1)
    answer = json.loads(capsys.readouterr().out)
    assert {"python", "sqlite", "file handles", "clock", "config", "data folder", "disk", "relay", "port"} <= {
        one["name"] for one in answer["findings"]
    }
    assert {one["state"] for one in answer["findings"]} <= {"ok", "warn", "fail"}
    with tarfile.open(bundle) as packed:
        names = packed.getnames()
        text = "".join(packed.extractfile(name).read().decode() for name in names)
    assert names == [f"relay-doctor/{name}" for name in answer["bundle"]]
    assert "hidden-secret" not in text
    assert "wk_web" not in text


def test_doctor_sees_a_data_folder_that_others_can_read(tmp_path):
    tmp_path.chmod(0o755)
    states = {one.name: one.state for one in of_data_folder(tmp_path, 0)}
    assert states["data folder"] == "warn"
    tmp_path.chmod(0o700)
    assert {one.name: one.state for one in of_data_folder(tmp_path, 0)}["data folder"] == "ok"


def test_doctor_calls_a_disk_below_the_reserve_a_failure(tmp_path):
    assert {one.name: one.state for one in of_data_folder(Path(tmp_path), 1 << 60)}["disk"] == "fail"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ok"), ({"state": "held", "hold_code": "credentials"}, "warn"), ({"state": "breaker_open"}, "warn"), ({"oldest_s": 1.0, "pending": 3}, "warn"),
        ({"dead": 1}, "warn"), ({"balance_ok": False}, "fail"),
    ],
)  # fmt: skip
def test_doctor_judges_each_destination(changes, state):
    one = {"slug": "orders", "state": "running", "pending": 0, "dead": 0, "oldest_s": 0.0, "balance_ok": True} | changes
    (finding,) = of_destinations([one], 10_000.0)
    assert finding.state == state
    assert bool(finding.remedy) is (state != "ok")


@pytest.fixture
def database(home):
    """A data folder with a real database in it."""
    folder = home / "relay-data"
    folder.mkdir(mode=0o700)
    open_writer(folder / "relay.db", durability="full", steps=load_steps()).close()
    return folder / "relay.db"


def test_a_backup_can_be_restored_and_a_database_recovered(database, home, capsys):
    assert main(["backup", "copy.db", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == (home / "copy.db").stat().st_size
    assert main(["restore", "copy.db"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert main(["restore", "copy.db", "--yes", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert Path(answer["kept"]).exists()
    assert main(["recover", "--json"]) == 0
    assert "log" in json.loads(capsys.readouterr().out)["rows"]


def test_restore_and_recover_refuse_while_a_relay_holds_the_folder(database, home, capsys):
    assert main(["backup", "copy.db"]) == 0
    handle = hold_lock(database.parent)
    assert main(["restore", "copy.db", "--yes"]) == 3
    assert main(["recover"]) == 3
    os.close(handle)
    assert f"pid {os.getpid()}" in capsys.readouterr().err


def test_a_damaged_backup_is_not_restored(database, home, capsys):
    (home / "copy.db").write_bytes(b"no database at all" * 100)
    before = database.read_bytes()
    assert main(["restore", "copy.db", "--yes"]) == 65
    assert database.read_bytes() == before


def test_work_without_a_terminal_is_told_in_lines(capsys, monkeypatch):
    monkeypatch.setattr("relay.cli.progress.QUIET_S", 0.0)
    with Progress("sending", silent=False) as progress:
        for done in (10, 20, 30):
            progress.show(done, 100)
    assert capsys.readouterr().err.count("sending: 10 of 100") == 1
