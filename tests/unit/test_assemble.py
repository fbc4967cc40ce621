"""From the tree and a catalog to a workspace: every mistake at once, presets, digests, stored versions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay.base import jsonio
from relay.base.clock import SystemClock
from relay.base.secret import Secret
from relay.config.settings import Settings
from relay.config.tree import Tree, read_tree
from relay.database.database import Database
from relay.errors import ConfigError, Problem
from relay.kit.definition import Action, Definition, Field, Preset, Setting
from relay.workspace.assemble import assemble, digest, document, load, setting_digest
from relay.workspace.model import RetryLimits, Subscription, Workspace
from relay.workspace.options import snake_case
from relay.workspace.store import WorkspaceStore, changes
from relay.workspace.stored import NOTHING


def check(settings: Any) -> list[Problem]:
    return [] if str(settings.get("url", "")).startswith("http") else [Problem("'url' is no web address", remedy="begin with https://")]


HOOK = Definition(
    "hook",
    "Hook (Actions)",
    settings=(
        Setting("url", "URL", required=True),
        Setting("sharedSecret", "Secret", secret=True),
        Setting("oldSecrets", "Old secrets", "list", secret=True),
        Setting("headers", "Headers", "object", secret=True),
        Setting("method", "Method", default="POST", choices=("POST", "PUT")),
        Setting("maxItems", "Items", "integer", default=5),
        Setting("apiURL", "API", default=None),
    ),
    actions={
        "send": Action("send", "Send", fields=(Field("data", "Data", default={"@path": "$"}), Field("id", "Id", required=True)),
                       default_trigger='type = "track"', perform_batch=lambda settings, units: None),  # type: ignore[arg-type, return-value]
        "sendPage": Action("sendPage", "Send page", fields=(Field("data", "Data"),)),
    },
    presets=(
        Preset("Track calls", "send", 'type = "track"', {"id": {"@path": "$.messageId"}}),
        Preset("Track calls", "send", 'type = "page"'),
        Preset("By hand", "send", 'type = "group"', automatic=False),
    ),
    check=check,
)  # fmt: skip
ARCHIVE = Definition(
    "archive",
    "Archive",
    settings=(Setting("compression", "Compression", default="gzip"),),
    actions={"write": Action("write", "Write", default_trigger='type = "track"')},
    presets=(Preset("All", "write", 'type = "track"'),),
)
CATALOG = {"hook": HOOK, "archive": ARCHIVE}

SOURCE = '[[source]]\nslug = "web"\nwrite_key = "wk_web"\n'
DESTINATION = '[[destination]]\nslug = "orders"\ntype = "hook"\nsettings = { url = "https://x", shared_secret = "${S}" }\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "relay.toml"
    path.write_text(text)
    return path


def built(folder: Path, text: str, **options: Any) -> tuple[Workspace, list[Problem]]:
    tree = read_tree(write(folder, text), environment={"S": "s3cret"})
    return assemble(tree, options.pop("settings", Settings.defaults()), CATALOG, **options)


def mistakes(folder: Path, text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        built(folder, text)
    return caught.value.problems


def test_the_smallest_file_gives_a_whole_workspace(tmp_path: Path) -> None:
    workspace, warnings = built(tmp_path, SOURCE + DESTINATION)
    (source,), (destination,) = workspace.sources, workspace.destinations
    assert (source.source_id, source.name, source.write_keys, source.enabled, str(source.place)) == (
        "web", "web", ("wk_web",), True, f"{tmp_path}/relay.toml:1",
    )  # fmt: skip
    assert destination.source_ids == ("web",)
    assert destination.settings == {"url": "https://x", "sharedSecret": Secret("s3cret"), "method": "POST", "maxItems": 5}
    assert destination.retry == RetryLimits()
    assert (destination.order, destination.concurrency, destination.timeout_s, destination.retry_all) == ("user", 8, 15, False)
    assert warnings == []


def test_a_destination_without_mappings_gets_its_automatic_presets(tmp_path: Path) -> None:
    (destination,) = built(tmp_path, SOURCE + DESTINATION)[0].destinations
    assert destination.subscriptions == (
        Subscription("track-calls", "Track calls", "send", 'type = "track"', {"id": {"@path": "$.messageId"}}),
        Subscription("track-calls-2", "Track calls", "send", 'type = "page"', {}),
    )


def test_mappings_replace_the_presets_and_take_the_defaults_of_their_action(tmp_path: Path) -> None:
    mappings = """
[[destination.mapping]]
name = "Big Orders!"
action = "send"
fields = { id = "1", enable_batching = true }
[[destination.mapping]]
action = "sendPage"
trigger = 'type = "page"'
enabled = false
"""
    (destination,) = built(tmp_path, SOURCE + DESTINATION + mappings)[0].destinations
    assert destination.subscriptions == (
        Subscription("big-orders", "Big Orders!", "send", 'type = "track"', {"id": "1", "enable_batching": True}),
        Subscription("sendpage-2", "Send page", "sendPage", 'type = "page"', {}, enabled=False),
    )


def test_every_delivery_setting_can_be_set_again_in_a_destination(tmp_path: Path) -> None:
    own = (
        'order = "none"\nconcurrency = 2\nrate_per_s = 1.5\nmax_waiting = 7\ntimeout_s = 3\nretry_all = true\nfirst_delay_s = 2\n'
        "max_delay_s = 4\ngive_up_after_s = 9\nmin_attempts = 1\nschedule_s = [1, 2]\nresponse_sample_bytes = 10\n"
    )
    (destination,) = built(tmp_path, SOURCE + DESTINATION + own)[0].destinations
    assert (destination.order, destination.concurrency, destination.rate_per_s, destination.max_waiting) == ("none", 2, 1.5, 7)
    assert (destination.timeout_s, destination.retry_all, destination.response_sample_bytes) == (3, True, 10)
    assert destination.retry == RetryLimits(2, 4, 9, 1, (1, 2))


def test_the_delivery_table_is_the_default_of_every_destination(tmp_path: Path) -> None:
    settings = replace(Settings.defaults(), delivery=replace(Settings.defaults().delivery, concurrency=3, max_delay_s=60))
    (destination,) = built(tmp_path, SOURCE + DESTINATION, settings=settings)[0].destinations
    assert (destination.concurrency, destination.retry.max_delay_s) == (3, 60)


@pytest.mark.parametrize(("name", "snake"), [("sharedSecret", "shared_secret"), ("apiURL", "api_url"), ("HTTPHost", "http_host"), ("url", "url"),
                                             ("s3Bucket", "s3_bucket"), ("roll_bytes", "roll_bytes")])  # fmt: skip
def test_segment_keys_in_snake_case(name: str, snake: str) -> None:
    assert snake_case(name) == snake


def test_settings_take_segments_key_too_and_every_secret_is_wrapped(tmp_path: Path) -> None:
    text = '[[destination]]\nslug = "o"\ntype = "hook"\n[destination.settings]\nurl = "http://x"\nsharedSecret = "a"\noldSecrets = ["b"]\nheaders = { A = "c" }\n'
    workspace, warnings = built(tmp_path, SOURCE + text)
    settings = workspace.destinations[0].settings
    assert settings["oldSecrets"] == [Secret("b")]
    assert settings["headers"] == {"A": Secret("c")}
    assert settings["sharedSecret"] == Secret("a")
    assert [warning.message for warning in warnings] == [
        f"destination \"o\": the secret '{name}' is written out in the configuration" for name in ("shared_secret", "old_secrets", "headers")
    ]
    assert all(warning.place and not warning.place.text for warning in warnings)


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ('[[source]]\nwrite_key = "a"', 1, "source 1: a source needs a slug", 'add slug = "..."'),
        ('[[source]]\nslug = "Web"\nwrite_key = "a"', 2, "source \"Web\": 'Web' is no slug", "up to 64 of"),
        ('[[source]]\nslug = "relay"\nwrite_key = "a"', 2, "source \"relay\": the slug 'relay' is reserved for relay's own events", "choose"),
        ('[[source]]\nslug = "a"', 1, 'source "a": a source needs a write key', "add write_key"),
        ('[[source]]\nslug = "a"\nwrite_keys = []', 3, 'source "a": a source needs a write key', "add write_key"),
        ('[[source]]\nslug = "a"\nwrite_key = "a:b"', 3, "source \"a\": 'write_key' must be 1 to 200 printable ASCII", ""),
        ('[[source]]\nslug = "a"\nwrite_key = "a"\nwrite_keys = ["b"]', 3, "source \"a\": 'write_key' and 'write_keys' are both set", "move"),
        ('[[source]]\nslug = "a"\nwrite_key = "a"\nplan = "p"', 4, "source \"a\": unknown plan 'p'", ""),
        ('[[source]]\nslug = "a"\nwrite_key = "a"\nenable = true', 4, "source \"a\": unknown setting 'enable'", "did you mean 'enabled'?"),
        ('[source]\nslug = "a"', 1, "'source' must be a list of tables", "write [[source]]"),
        ("source = [1]", 1, "source 1: must be a table", "write [[source]]"),
        (SOURCE + '[[source]]\nslug = "web"\nwrite_key = "b"', 5, "the source slug 'web' is used twice", "first used at"),
        (SOURCE + '[[source]]\nslug = "b"\nwrite_key = "wk_web"', 4, 'source "b": a write key is used twice (source "web" has it)', "each"),
        ('[[destination]]\nslug = "a"', 1, 'destination "a": a destination needs a type', "add type"),
        ('[[destination]]\nslug = "a"\ntype = "hok"', 3, "destination \"a\": unknown type 'hok'", "did you mean 'hook'?"),
        ('[[destination]]\nslug = "a"\ntype = "x"', 3, "destination \"a\": unknown type 'x'", "one of archive, hook"),
        ('[[destination]]\nslug = "a"\ntype = "hook"', 1, "destination \"a\": setting 'url' is required", ""),
        ('[[destination]]\nslug = "a"\ntype = "hook"\nsettings = { url = "" }', 4, "destination \"a\": setting 'url' is required", ""),
        ('[[destination]]\nslug = "a"\ntype = "hook"\nsettings = 1', 4, "destination \"a\": 'settings' must be a table", "write settings"),
        ('[[destination]]\nslug = "a"\ntype = "hook"\nsettings = { url = "ftp" }', 4, "destination \"a\": 'url' is no web address", "begin with"),
        (DESTINATION + 'sources = ["wbe"]\n' + SOURCE, 5, "destination \"orders\": unknown source 'wbe'", "did you mean 'web'?"),
        (DESTINATION + "rate_per_sec = 50", 5, "destination \"orders\": unknown setting 'rate_per_sec'", "did you mean 'rate_per_s'?"),
        (DESTINATION + "filter = 1", 5, "destination \"orders\": 'filter' must be a list of tables", "write [[destination.filter]]"),
        (DESTINATION + "first_delay_s = 9999", 5, "destination \"orders\": 'first_delay_s' is larger than 'max_delay_s'", "the first"),
        (DESTINATION + "mapping = 1", 5, "destination \"orders\": 'mapping' must be a list of tables", "write [[destination.mapping]]"),
        (DESTINATION + 'allow_private = ["localhost:1"]', 5, "destination \"orders\": allow_private 'localhost:1' 'localhost' is no address", "write"),
        (DESTINATION + DESTINATION, 6, "the destination slug 'orders' is used twice", "first used at"),
        (DESTINATION + "[[destination.mapping]]\ntrigger = 'x'", 5, 'destination "orders", mapping 1: a mapping needs an action', "one of send, sendPage"),
        (DESTINATION + "[[destination.mapping]]\naction = 'snd'", 6, "destination \"orders\", mapping 1: unknown action 'snd'", "did you mean 'send'?"),
        (DESTINATION + "[[destination.mapping]]\naction = 'sendPage'", 5, 'destination "orders", mapping 1: a mapping needs a trigger', "add trigger"),
        (DESTINATION + "[[destination.mapping]]\naction = 'send'\nfields = { dat = 1 }", 7,
         "destination \"orders\", mapping 1: action 'send' has no field 'dat'", "did you mean 'data'?"),
        (DESTINATION + "[[destination.mapping]]\naction = 'send'\nname = 'a'\n[[destination.mapping]]\naction = 'send'\nname = 'A'", 10,
         "destination \"orders\", mapping 2: another mapping has the id 'a' already", "give"),
        ("[plan]\nx = 1", 1, "'plan' must be a list of tables", "write [[plan]]"),
        ("[[sources]]\nx = 1", 1, "unknown table 'sources'", "did you mean 'source'?"),
    ],
)  # fmt: skip
def test_each_mistake_tells_place_and_remedy(tmp_path: Path, text: str, line: int, message: str, remedy: str) -> None:
    (problem,) = mistakes(tmp_path, text)
    assert problem.message.startswith(message)
    assert problem.remedy.startswith(remedy)
    assert str(problem.place) == f"{tmp_path}/relay.toml:{line}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('sharedSecret = "a"\nshared_secret = "b"', "'sharedSecret' and 'shared_secret' are the same setting"),
        ('sharde_secret = "a"', "unknown setting 'sharde_secret'"),
        ("shared_secret = 1", "setting 'shared_secret' must be a string"),
        ("old_secrets = 5", "setting 'old_secrets' must be a list of strings"),
        ("max_items = 1.5", "setting 'max_items' must be a whole number"),
        ('method = "GET"', 'setting \'method\' must be "POST" or "PUT"'),
    ],
)
def test_a_wrong_setting_of_a_destination_is_a_mistake(tmp_path: Path, settings: str, message: str) -> None:
    text = f'[[destination]]\nslug = "o"\ntype = "hook"\n[destination.settings]\nurl = "https://x"\n{settings}\n'
    (problem,) = mistakes(tmp_path, text)
    assert problem.message == f'destination "o": {message}'
    assert problem.place is not None
    assert problem.place.line >= 6


@pytest.mark.parametrize("entry", ["127.0.0.1:9000", "10.2.0.0/16:443", "[::1]:80", "[fd00::/8]:80", "[fd00::]/8:80", "10.0.0.1:*"])
def test_allow_private_takes_addresses_and_networks_with_a_port(tmp_path: Path, entry: str) -> None:
    (destination,) = built(tmp_path, SOURCE + DESTINATION + f'allow_private = ["{entry}"]\n')[0].destinations
    assert destination.allow_private == (entry,)


@pytest.mark.parametrize("entry", ["", "127.0.0.1", "10.0.0.0/8", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "::1:80", "fd00::/8:80",
                                   "[::1]", "[10.0.0.1]:80", "host:80", "10.2.0.1/16:443", "*:80", ":80"])  # fmt: skip
def test_allow_private_refuses_everything_else(tmp_path: Path, entry: str) -> None:
    assert len(mistakes(tmp_path, SOURCE + DESTINATION + f'allow_private = ["{entry}"]\n')) == 1


def test_without_anything_there_is_a_source_and_an_archive() -> None:
    workspace, warnings = assemble(Tree(), Settings.defaults(), CATALOG, default_write_key="wk_new")
    assert [(source.slug, source.write_keys) for source in workspace.sources] == [("default", ("wk_new",))]
    (archive,) = workspace.destinations
    assert (archive.slug, archive.type, archive.source_ids, archive.settings) == ("archive", "archive", ("default",), {"compression": "gzip"})
    assert [subscription.action for subscription in archive.subscriptions] == ["write"]
    assert warnings == []


def test_defaults_do_not_join_what_is_configured(tmp_path: Path) -> None:
    workspace, _ = built(tmp_path, SOURCE + DESTINATION, default_write_key="wk_new")
    assert [item.slug for item in (*workspace.sources, *workspace.destinations)] == ["web", "orders"]
    assert assemble(Tree(), Settings.defaults(), {}) == (Workspace(0, (), ()), [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SOURCE + DESTINATION + "sources = []\n", 'destination "orders": has no sources, so nothing reaches it'),
        (SOURCE + DESTINATION + "enabled = false\n", 'source "web": no destination listens to it'),
        (SOURCE + DESTINATION + "[[destination.mapping]]\naction = 'send'\n", "the required field 'id' is left out and has no default"),
        (SOURCE + DESTINATION.replace("${S}", "plain"), "the secret 'shared_secret' is written out in the configuration"),
    ],
)
def test_what_is_allowed_but_odd_is_warned_about(tmp_path: Path, text: str, message: str) -> None:
    assert any(message in warning.message for warning in built(tmp_path, text)[1])


def test_one_run_finds_the_mistakes_of_file_settings_and_workspace_in_their_order(tmp_path: Path) -> None:
    text = '[server]\nlistne = 1\n[[destination]]\nslug = "o"\ntype = "hook"\nsettings = { url = "${NONE}", shared_secret = 1 }\nrate_per_sec = 1\n[sever]\n'
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path, CATALOG, environment={})
    problems = caught.value.problems
    assert [problem.place.line for problem in problems if problem.place] == [2, 6, 6, 7, 8]
    assert sum("NONE" in problem.message for problem in problems) == 1


def test_load_gives_tree_settings_workspace_and_warnings(tmp_path: Path) -> None:
    path = write(tmp_path, '[ui]\ntoken = "plain"\n[delivery]\nconcurrency = 4\n' + SOURCE + DESTINATION)
    loaded = load(path, CATALOG, environment={"S": "s"}, overrides=["delivery.timeout_s=2"])
    assert (loaded.settings.delivery.timeout_s, loaded.workspace.destinations[0].timeout_s) == (2, 2)
    assert [warning.message for warning in loaded.warnings] == ["ui: the secret 'token' is written out in the configuration"]
    assert loaded.tree.files == (path,)


def test_no_mistake_shows_a_secret(tmp_path: Path) -> None:
    text = (
        SOURCE
        + '[[destination]]\nslug = "o"\ntype = "hook"\nsettings = { url = "x", sharedSecret = "hidden1", old_secrets = "hidden2", wrong = 1 }\n'
    )
    assert "hidden" not in repr(mistakes(tmp_path, text))


def test_the_digest_follows_content_and_secrets_but_not_places(tmp_path: Path) -> None:
    first, _ = built(tmp_path, SOURCE + DESTINATION)
    moved, _ = built(tmp_path, "\n\n" + SOURCE + DESTINATION)
    rotated, _ = built(tmp_path, SOURCE + DESTINATION.replace("${S}", "other"))
    assert digest(first) == digest(moved) == digest(replace(first, version=7, created_by="x"))
    assert digest(first) != digest(rotated)
    text = jsonio.dumps(document(rotated)).decode()
    assert "other" not in text
    assert "•••" in text


def test_the_setting_digest_changes_with_settings_and_allow_private_only(tmp_path: Path) -> None:
    def of(text: str) -> str:
        return setting_digest(built(tmp_path, SOURCE + text)[0].destinations[0])

    base = of(DESTINATION)
    assert base == of(DESTINATION + "concurrency = 1\n")
    assert base != of(DESTINATION.replace("${S}", "other"))
    assert base != of(DESTINATION.replace("https://x", "https://y"))
    assert base != of(DESTINATION + 'allow_private = ["127.0.0.1:1"]\n')


async def test_versions_are_numbered_stored_with_an_audit_row_and_made_for_changes_only(tmp_path: Path) -> None:
    def fatal(error: Exception) -> None:
        raise error

    database = await Database.open(tmp_path / "relay.db", clock=SystemClock(), on_fatal=fatal)
    try:
        store = WorkspaceStore(database)
        assert await store.latest() is None
        first, _ = built(tmp_path, SOURCE + DESTINATION)
        saved = await store.save(first, "file", 10.0, NOTHING)
        assert (saved.version, saved.created_s, saved.created_by) == (1, 10.0, "file")
        assert await store.latest() == (1, digest(first))
        again = await store.save(first, "someone", 20.0, NOTHING)
        assert again == saved
        second, _ = built(tmp_path, SOURCE + DESTINATION + "concurrency = 1\n")
        assert (await store.save(second, "ann", 30.0, NOTHING)).version == 2
        assert await store.document(1) == document(first)
        assert await store.document(3) is None
        rows = await database.read(lambda connection: connection.execute("SELECT at_s, operator, subject, detail FROM audit ORDER BY id").fetchall())
        assert [tuple(row)[:3] for row in rows] == [(10.0, "file", "workspace 1"), (30.0, "ann", "workspace 2")]
        assert jsonio.loads(rows[1][3]) == {"added": [], "changed": ["destination orders"], "removed": []}
    finally:
        await database.close()


def test_changes_name_what_was_added_changed_and_removed(tmp_path: Path) -> None:
    before = {"sources": [{"slug": "a"}, {"slug": "b", "x": 1}], "destinations": []}
    after = {"sources": [{"slug": "b", "x": 2}], "destinations": [{"slug": "a"}]}
    assert changes(before, after) == {"added": ["destination a"], "changed": ["source b"], "removed": ["source a"]}
