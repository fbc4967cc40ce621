"""The configuration as read: places, merging, references, process settings."""

import os
import tomllib
from pathlib import Path

import pytest

from relay.base.secret import Secret
from relay.config.locate import locate
from relay.config.settings import (
    SPECS,
    TABLES,
    Listen,
    Settings,
    check_settings,
    effective,
    format_problems,
    parse_listen,
    read_settings,
)
from relay.config.tree import Tree, read_tree, survey
from relay.errors import ConfigError, Place, Problem

EVERY_SHAPE = """\
# comment [not.a.table]
top = 1
"quoted key" = 'x'
a.b . "c.d" = true

[server] # comment
listen = "127.0.0.1:1" # = not a key
text = \"\"\"first
fake = 1
[nor.this]\\\"\"\" still \"\"\"\"
raw = '''
fake = 2'''
list = [1, [2, 3], # three ]
  { x = 1, y = { z = "}" } },
]
when = 1979-05-27 07:32:00

[[destination]]
slug = "one"
settings = { url = "http://a#b", deep.er = [ { k = 1 } ] }
[[destination.mapping]]
name = "m0"
[[destination.mapping]]
name = "m1"
[destination.extra]
x = 1

[[destination]]
slug = "two"
[[destination.mapping]]
name = "n0"
"""


def tree_of(folder: Path, text: str, *, environment: dict[str, str] | None = None, overrides: tuple[str, ...] = (), **extra: str) -> Tree:
    return read_tree(write(folder, text, **extra), environment=environment or {}, overrides=overrides)


def write(folder: Path, text: str, **extra: str) -> Path:
    path = folder / "relay.toml"
    path.write_text(text)
    for name, content in extra.items():
        (folder / "conf.d").mkdir(exist_ok=True)
        (folder / "conf.d" / f"{name}.toml").write_text(content)
    return path


def problems_of(folder: Path, text: str, **options: object) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        read_settings(tree_of(folder, text, **options))  # type: ignore[arg-type]
    return caught.value.problems


def leaves(value: object, keys: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, item in items for path in [(*keys, key), *leaves(item, (*keys, key))]]


def test_every_key_and_value_of_every_toml_shape_has_a_place() -> None:
    located = locate("f.toml", EVERY_SHAPE)
    assert [keys for keys in leaves(tomllib.loads(EVERY_SHAPE)) if located.place(keys) is None] == []
    assert set(located.marks) == set(leaves(tomllib.loads(EVERY_SHAPE)))


@pytest.mark.parametrize(
    ("keys", "marked"),
    [
        (("top",), "top"),
        (("quoted key",), '"quoted key"'),
        (("a", "b", "c.d"), '"c.d"'),
        (("server", "raw"), "raw"),
        (("server", "list", 1, 0), "2"),
        (("server", "list", 2, "y", "z"), "z"),
        (("server", "when"), "when"),
        (("destination", 0, "settings", "url"), "url"),
        (("destination", 0, "settings", "deep", "er", 0, "k"), "k"),
        (("destination", 1, "mapping", 0), "destination.mapping"),
    ],
)
def test_the_caret_stands_under_the_key(keys: tuple[str | int, ...], marked: str) -> None:
    place = locate("f.toml", EVERY_SHAPE).place(keys)
    assert place is not None
    line = EVERY_SHAPE.split("\n")[place.line - 1]
    assert line[place.column - 1 : place.column - 1 + place.width] == marked


def test_a_marked_line_never_shows_other_strings_or_secrets() -> None:
    text = 'settings = { url = "https://hooks/T0/abc", shared_secret = "s3cret", wrong = 1 }\nwrite_key = "wk_hidden"\nlisten = "127.0.0.1:1"\n'
    located = locate("f.toml", text)
    for keys in (("settings",), ("settings", "wrong"), ("settings", "url"), ("write_key",)):
        place = located.place(keys)
        assert place is not None
        assert not any(word in place.text for word in ("s3cret", "hooks", "hidden"))
    shown = located.place(("listen",))
    assert shown is not None
    assert shown.text == 'listen = "127.0.0.1:1"'


def test_a_syntax_error_tells_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        tree_of(tmp_path, '[server]\nlisten = "x\n')
    (problem,) = caught.value.problems
    assert problem.place is not None
    assert problem.place.line == 2
    assert "column 12" in problem.message


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = " + b"[" * 5000])
def test_a_file_that_cannot_be_parsed_is_a_mistake_and_no_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "relay.toml").write_bytes(content)
    with pytest.raises(ConfigError):
        read_tree(tmp_path / "relay.toml", environment={})


def test_a_named_file_that_is_missing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_tree(tmp_path / "none.toml", environment={})


def test_the_search_order_is_named_then_here_then_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("relay.config.tree.SYSTEM_FILE", tmp_path / "system.toml")
    assert read_tree(None, environment={}) == Tree()
    (tmp_path / "system.toml").write_text("x = 1")
    assert read_tree(None, environment={}).files == (tmp_path / "system.toml",)
    (tmp_path / "relay.toml").write_text("x = 2")
    assert read_tree(None, environment={}).files == (Path("relay.toml"),)
    (tmp_path / "other.toml").write_text("x = 3")
    assert read_tree(None, environment={"RELAY_CONFIG": "other.toml"}).data == {"x": 3}


def test_conf_d_appends_lists_of_tables_and_merges_tables_in_name_order(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path,
        '[server]\nlisten = "a:1"\n[[source]]\nslug = "one"\n',
        b='[[source]]\nslug = "three"\n',
        a='[server]\npublic_url = "u"\n\n[[source]]\nslug = "two"\n[ui]\nhosts = []\n',
    )
    assert [source["slug"] for source in tree.data["source"]] == ["one", "two", "three"]
    assert tree.data["server"] == {"listen": "a:1", "public_url": "u"}
    assert str(tree.place("source[1].slug")) == f"{tmp_path}/conf.d/a.toml:5"
    assert str(tree.place("source[2].write_key")) == f"{tmp_path}/conf.d/b.toml:1"


def test_a_key_that_two_files_set_is_a_mistake_that_names_both(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        tree_of(tmp_path, '[server]\nlisten = "a:1"\n', x='[server]\nlisten = "b:1"\n')
    (problem,) = caught.value.problems
    assert "'server.listen' is set twice" in problem.message
    assert str(problem.place) == f"{tmp_path}/conf.d/x.toml:2"
    assert problem.remedy == f"first set in {tmp_path}/relay.toml:2"


def test_precedence_is_file_then_environment_then_set(tmp_path: Path) -> None:
    text = '[server]\nlisten = "1.1.1.1:1"\nmax_body_bytes = 100000\ndrain_s = 1\n'
    environment = {"RELAY__SERVER__LISTEN": "2.2.2.2:2", "RELAY__SERVER__MAX_BODY_BYTES": "200000", "RELAY_URL": "http://x"}
    tree = tree_of(tmp_path, text, environment=environment, overrides=("server.listen=3.3.3.3:3", 'server.cors_origins=["https://a"]'))
    settings = read_settings(tree)
    assert settings.server.listen == "3.3.3.3:3"
    assert settings.server.max_body_bytes == 200_000
    assert settings.server.cors_origins == ("https://a",)
    rows = {row.key: (row.value, row.origin) for row in effective(settings, tree)}
    assert rows["server.listen"] == ('"3.3.3.3:3"', "--set")
    assert rows["server.max_body_bytes"] == ("200000", "environment")
    assert rows["server.drain_s"] == ("1", f"{tmp_path}/relay.toml:4")
    assert rows["server.tls_key"] == ('""', "default")


def test_a_text_setting_that_looks_like_a_number_stays_a_text() -> None:
    tree = read_tree(Path(os.devnull), environment={"RELAY__UI__TOKEN": "0012", "RELAY__METRICS__TOKEN": "12345"})
    settings = read_settings(tree)
    assert (settings.ui.token, settings.metrics.token) == (Secret("0012"), Secret("12345"))
    assert tree.is_reference("ui.token")


@pytest.mark.parametrize("override", ["server", "listen=1", "server=1", "source.slug=x", ".x=1", "server.listen.host=x"])
def test_a_set_that_names_no_setting_is_a_mistake(tmp_path: Path, override: str) -> None:
    path = write(tmp_path, '[server]\nlisten = "a:1"\n[[source]]\nslug = "a"\n')
    assert survey(path, environment={}, overrides=[override])[1]


REFERENCES = [
    ("${NAME}", "value", True),
    ("a ${NAME} b", "a value b", True),
    ("${EMPTY}", "", True),
    ("${EMPTY:-other}", "other", False),
    ("${NONE:-}", "", False),
    ("${NONE:-a b:-c}", "a b:-c", False),
    ("${NAME:-x}", "value", True),
    ("$${NAME}", "${NAME}", False),
    ("$$$$", "$$", False),
    ("$NAME $.properties {{x}}", "$NAME $.properties {{x}}", False),
    ("${file:secret}", "from file", True),
    ("${credential:db}", "from credential", True),
    ("${TRICK}", '"\nx = ${NAME}', True),
]


@pytest.mark.parametrize(("text", "expected", "reference"), REFERENCES)
def test_references_are_resolved_inside_strings_once(tmp_path: Path, text: str, expected: str, reference: bool) -> None:
    (tmp_path / "secret").write_text("from file\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "db").write_text("from credential\n")
    environment = {"NAME": "value", "EMPTY": "", "TRICK": '"\nx = ${NAME}', "CREDENTIALS_DIRECTORY": str(tmp_path)}
    tree = tree_of(tmp_path, f"[t]\nv = ['{text}']\n", environment=environment)
    assert tree.data == {"t": {"v": [expected]}}
    assert tree.is_reference("t.v[0]") is reference
    assert tree.warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NONE}", "environment variable NONE is not set"),
        ("${file:none}", "is not a file"),
        ("${file:.}", "is not a file"),
        ("${credential:x}", "CREDENTIALS_DIRECTORY is not set"),
        ("${a b}", "is no reference"),
        ("${}", "is no reference"),
        ("x ${NAME", "without a closing"),
    ],
)
def test_a_reference_that_is_not_found_is_a_mistake_with_place_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    tree, problems = survey(write(tmp_path, f"[[source]]\nslug = 'web'\nname = '{text}'\n"), environment={})
    assert len(problems) == 1
    assert message in problems[0].message
    assert problems[0].message.startswith('source "web": ')
    assert problems[0].place == Place(str(tmp_path / "relay.toml"), 3)
    assert problems[0].remedy
    assert tree.unresolved == {"source[0].name"}


def test_a_credential_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret").write_text("x")
    path = write(tmp_path, "[t]\nv = '${credential:../secret}'\n")
    assert survey(path, environment={"CREDENTIALS_DIRECTORY": str(tmp_path / "inside")})[1]


def test_a_secret_file_that_others_can_read_is_warned_about(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "token").chmod(0o644)
    tree = tree_of(tmp_path, "[ui]\ntoken = '${file:token}'\n")
    assert [(warning.remedy, str(warning.place)) for warning in tree.warnings] == [(f"chmod 600 {tmp_path}/token", f"{tmp_path}/relay.toml:2")]


@pytest.mark.parametrize("value", ["nan", "inf", "99999999999999999999999"])
def test_numbers_that_json_cannot_hold_are_mistakes(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="JSON"):
        tree_of(tmp_path, f"[t]\nx = {value}\n")


def test_dates_are_read_as_their_text(tmp_path: Path) -> None:
    assert tree_of(tmp_path, "[t]\nx = 2024-05-01T10:00:00Z\n").data == {"t": {"x": "2024-05-01T10:00:00+00:00"}}


def test_nothing_configured_gives_the_defaults() -> None:
    assert read_settings(Tree()) == Settings.defaults()


def test_the_table_of_settings_is_whole() -> None:
    assert len({spec.path for spec in SPECS}) == len(SPECS)
    assert all(spec.help and "\n" not in spec.help for spec in SPECS)
    assert {spec.table for spec in SPECS} == set(TABLES)
    bytes_or_time = [spec for spec in SPECS if spec.name.endswith(("_bytes", "_s", "_h", "_days")) and not spec.name.endswith("per_s")]
    assert [spec.path for spec in bytes_or_time if not spec.unit] == []


MISTAKES = [
    ('[server]\nlistne = "x"', 2, "server: unknown setting 'listne'", "did you mean 'listen'?"),
    ("[sever]\nx = 1", 1, "unknown table 'sever'", "did you mean 'server'?"),
    ("x = 1", 1, "unknown setting outside of a table, 'x'", ""),
    ("server = 1", 1, "server: must be a table", "write [server]"),
    ("[trace]\nsample_ratio = 1", 1, "table 'trace' is not in this release", "remove it"),
    ("[log]\npayloads = true", 2, "log: 'payloads' is not in this release", "remove it"),
    ('[server]\nmax_body_bytes = "1"', 2, "server: 'max_body_bytes' must be a whole number", ""),
    ("[server]\nmax_connections = 0", 2, "server: 'max_connections' must be at least 1", ""),
    ("[server]\nmax_connections = true", 2, "server: 'max_connections' must be a whole number", ""),
    ("[delivery]\ntimeout_s = 1000", 2, "delivery: 'timeout_s' must be at most 600", ""),
    ("[delivery]\nschedule_s = [1, -1]", 2, "delivery: 'schedule_s' must be at least 0.01", ""),
    ("[delivery]\nfirst_delay_s = 20\nmax_delay_s = 10", 2, "delivery: 'first_delay_s' is larger than 'max_delay_s'", "the first delay is the shortest"),
    ('[delivery]\norder = "users"', 2, "delivery: 'order' must be \"user\", \"none\" or \"strict\"", "did you mean 'user'?"),
    ('[server]\ncors_origins = ["a", 1]', 2, "server: 'cors_origins' must be a list of strings", ""),
    ('[server]\nlisten = "8000"', 2, "server: 'listen' must be address:port, [ipv6]:port or unix:/path", "write it like 127.0.0.1:8000"),
    ('[server]\ntls_key = "k"', 2, "server: 'tls_key' is set without 'tls_cert'", "set 'tls_cert' as well"),
    ('[server]\npublic_url = "in.example.com"', 2, "server: 'public_url' must be an http or https address", "as https://in.example.com"),
    ("[server]\nmax_body_bytes = 2000", 2, "server: 'max_event_bytes' is larger than 'max_body_bytes'", "an event must fit into a request"),
    ('[ui]\nlisten = "0.0.0.0:1"', 2, "ui: '0.0.0.0:1' can be reached from other machines, and no token is set",
     "set ui.token, or listen at 127.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message", "remedy"), MISTAKES)
def test_each_mistake_tells_place_and_remedy(tmp_path: Path, text: str, line: int, message: str, remedy: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert (problem.message, problem.remedy) == (message, remedy)
    assert str(problem.place) == f"{tmp_path}/relay.toml:{line}"


def test_all_mistakes_come_in_one_run(tmp_path: Path) -> None:
    text = "".join(f"{case}\n" for case in ("[server]", "listne = 1", "drain_s = -1", "[ui]", 'hosts = "a"', "[stor]", "x = 1"))
    assert len(problems_of(tmp_path, text)) == 4


def test_a_value_whose_reference_is_missing_is_complained_about_once(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nlisten = "${NONE}"\ncors_origins = ["${NONE}"]\n[ui]\nlisten = "0.0.0.0:1"\ntoken = "${NONE}"\n')
    tree, problems = survey(path, environment={})
    assert len(problems) == 3
    assert check_settings(tree)[1] == []


@pytest.mark.parametrize(
    ("text", "expected", "loopback"),
    [
        ("127.0.0.1:8000", Listen("127.0.0.1", 8000), True),
        ("localhost:0", Listen("localhost", 0), True),
        ("[::1]:80", Listen("::1", 80), True),
        ("[::]:80", Listen("::", 80), False),
        ("10.0.0.1:80", Listen("10.0.0.1", 80), False),
        ("relay.internal:80", Listen("relay.internal", 80), False),
        ("unix:/run/relay.sock", Listen(unix_path="/run/relay.sock"), True),
    ],
)
def test_listen_addresses(text: str, expected: Listen, loopback: bool) -> None:
    assert parse_listen(text) == expected
    assert parse_listen(text).is_loopback is loopback


@pytest.mark.parametrize("text", ["", ":80", "host", "host:", "host:x", "1.1.1.1:65536", "::1:80", "[x]:80", "unix:", "[1.1.1.1]:80"])
def test_what_is_no_listen_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_listen(text)


def test_secrets_never_show_in_the_effective_settings(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, '[ui]\ntoken = "s3cret"\n')
    settings = read_settings(tree)
    assert settings.ui.token.reveal() == "s3cret"
    shown = [row for row in effective(settings, tree) if row.key == "ui.token"]
    assert shown[0].value == '"•••"'
    assert "s3cret" not in repr(settings) + repr(shown)


def test_problems_are_shown_with_line_caret_and_remedy() -> None:
    problems = [
        Problem(
            "destination \"orders\": unknown setting 'rate_per_sec'",
            Place("conf/relay.toml", 71, 3, "  rate_per_sec = 50", 12),
            "did you mean 'rate_per_s'?",
        ),
        Problem(
            'destination "orders": environment variable HOOK_URL is not set',
            Place("conf/relay.toml", 73),
            "use ${HOOK_URL:-default} to allow that",
        ),
        Problem("has no value", Place("--set x", 0)),
        Problem("nowhere"),
    ]
    assert format_problems(problems) == (
        "error: conf/relay.toml:71: destination \"orders\": unknown setting 'rate_per_sec'\n"
        "   71 | rate_per_sec = 50\n"
        "        ^^^^^^^^^^^^ did you mean 'rate_per_s'?\n"
        'error: conf/relay.toml:73: destination "orders": environment variable HOOK_URL is not set (use ${HOOK_URL:-default} to allow that)\n'
        "error: --set x: has no value\n"
        "error: nowhere"
    )
