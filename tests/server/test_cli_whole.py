"""Every command that talks to relay, as a person types it, against one real `relay serve` and a real receiver.

The tests share the relay: each uses event names and users of its own and leaves no dead letter and no hold behind.
"""

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from relay.cli import main
from relay.observe.metrics import COUNTERS, DOORS, GAUGES, HISTOGRAMS
from tests.support.app import source, toml, webhook
from tests.support.process import RelayProcess, free_ports
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "hidden-secret"


@dataclass(frozen=True)
class Said:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, without its head; columns stand two spaces apart."""
        return [re.split(r"\s{2,}", line) for line in self.out.splitlines()[1:]]


class Whole:
    """The running relay, its receiver, and a folder whose relay.toml finds it."""

    def __init__(self, process: RelayProcess, receiver: Receiver) -> None:
        self.process, self.receiver = process, receiver

    async def run(self, *words: str, stdin: str = "", terminal: bool = False, **environment: str) -> Said:
        """`relay <words>` in the folder of relay.toml; `serve`, which takes the process over, in one of its own."""
        if words[0] == "serve":
            done = await asyncio.to_thread(command, words, self.process.folder, environment)
            return Said(done.returncode, done.stdout, done.stderr)
        return await asyncio.to_thread(typed, words, self.process.folder, environment, stdin, terminal)

    async def message_id(self, *words: str) -> str:
        """Send one track event, wait for its end; its messageId."""
        said = await self.run("send", "track", "--user", "u1", "--wait", "--json", *words)
        assert said.code in (0, 5), said
        return str(said.json["events"][0]["message_id"])

    async def metrics(self) -> str:
        def read() -> str:
            with urllib.request.urlopen(f"{self.process.ui_url}/metrics", timeout=10) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(read)


def command(words: Sequence[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "relay", *words],
        cwd=folder,
        env=clean(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


class Terminal(io.StringIO):
    """A stdout that a person looks at."""

    def isatty(self) -> bool:
        return True


def typed(words: Sequence[str], folder: Path, environment: dict[str, str], stdin: str, terminal: bool) -> Said:
    """In this process, with folder, environment and streams as a shell would set them."""
    kept, kept_stdin, out, err = dict(os.environ), sys.stdin, Terminal() if terminal else io.StringIO(), io.StringIO()
    sys.stdin = io.StringIO(stdin)
    os.environ.clear()
    os.environ.update(clean(environment))
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
    finally:
        sys.stdin = kept_stdin
        os.environ.clear()
        os.environ.update(kept)
    return Said(code, out.getvalue(), err.getvalue())


def clean(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RELAY")} | environment


async def by_property(request: web.BaseRequest) -> web.StreamResponse:
    """The status that the event asks for."""
    event = json.loads(await request.read())
    return web.Response(status=(event.get("properties") or {}).get("answer", 200), text="said the receiver")


def configuration(receiver: Receiver, process_ports: tuple[int, int], data: Path) -> str:
    listen = (
        f'[server]\nlisten = "127.0.0.1:{process_ports[0]}"\n[ui]\nlisten = "127.0.0.1:{process_ports[1]}"\n[store]\ndata_dir = {toml(str(data))}\n'
    )
    hooks = [
        webhook(slug, receiver, {"action": "send", "trigger": trigger}, settings={"sharedSecret": SECRET}, sources=["web"])
        for slug, trigger in (("orders", 'type = "track"'), ("people", 'type != "track"'))
    ]
    return listen + source() + source("other") + "".join(hooks)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    async with Receiver() as receiver:
        receiver.default = by_property
        process = RelayProcess(folder)
        process.configure(configuration(receiver, (process.port, process.ui_port), process.data))
        async with process:
            yield Whole(process, receiver)
            assert await process.terminate() == 0


async def test_a_running_relay_is_found_by_the_configuration_and_lets_this_machine_in(whole, tmp_path):
    assert (await whole.run("health")).code == 0
    assert (await whole.run("health", "--json")).json == {"ready": True, "failed": []}
    done = await asyncio.to_thread(command, ["token", "ls"], tmp_path, {"RELAY_CONFIG": str(whole.process.config_path)})
    assert done.returncode == 0
    done = await asyncio.to_thread(command, ["token", "ls", "--config", str(whole.process.config_path)], tmp_path, {})
    assert done.returncode == 0
    done = await asyncio.to_thread(command, ["token", "ls", "--url", whole.process.ui_url, "--data", str(whole.process.data)], tmp_path, {})
    assert done.returncode == 0
    done = await asyncio.to_thread(command, ["token", "ls", "--url", whole.process.ui_url], tmp_path, {})
    assert (done.returncode, "--token" in done.stderr) == (77, True)


@pytest.mark.parametrize(
    ("words", "to"),
    [
        (["track", "--event", "Six", "--user", "u6"], "orders"), (["identify", "--user", "u6", "--trait", "plan=pro"], "people"),
        (["page", "--event", "Home", "--user", "u6"], "people"), (["screen", "--event", "Home", "--anonymous", "a6"], "people"),
        (["group", "--user", "u6", "--group", "g6"], "people"), (["alias", "--user", "u6", "--previous", "old6"], "people"),
    ],
)  # fmt: skip
async def test_every_type_of_event_can_be_sent_and_arrives(whole, words, to):
    said = await whole.run("send", *words, "--wait", "--json")
    assert said.code == 0, said
    (story,) = said.json["events"]
    assert {one["slug"]: one["state"] for one in story["destinations"]}[to] == "delivered"
    (arrived,) = [one for one in whole.receiver.bodies if one["messageId"] == story["message_id"]]
    assert arrived["type"] == words[0]


@pytest.mark.parametrize("words", [["group", "--user", "u"], ["alias", "--user", "u"], ["track", "--user", "u"], [], ["trak"]])
async def test_a_message_that_relay_would_refuse_is_wrong_usage(whole, words):
    assert (await whole.run("send", *words)).code == 2


async def test_many_events_and_files_of_events_are_sent(whole):
    said = await whole.run("send", "track", "--event", "Many", "--user", "u1", "--count", "120")
    assert said.code == 0
    assert len(set(said.out.split())) == 120
    lines = "".join(json.dumps({"type": "track", "event": "Filed", "userId": "u1", "messageId": f"filed-{number}"}) + "\n" for number in range(3))
    said = await whole.run("send", "--file", "-", "--wait", stdin=lines)
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")] == ["filed-0", "filed-1", "filed-2"]
    (whole.process.folder / "one.json").write_text('{"type": "track", "event": "Filed", "userId": "u1"}')
    assert (await whole.run("send", "--file", "one.json")).code == 0
    assert (await whole.run("send", "--file", "none.json")).code == 74


async def test_waiting_for_a_refused_or_filtered_event_says_what_became_of_it(whole):
    said = await whole.run("send", "track", "--event", "Nobody", "--user", "u1", "--source", "other", "--wait")
    assert (said.code, "orders: skipped" in said.out) == (0, True)
    said = await whole.run("send", "--file", "-", "--wait", "--timeout", "1s", stdin='{"type": "nonsense", "userId": "u"}')
    assert (said.code, "rejected" in said.out, "unknown_type" in said.out) == (1, True, True)


async def test_a_dead_event_is_exit_5_and_can_be_listed_shown_resent_and_discarded(whole):
    said = await whole.run("send", "track", "--event", "Doomed", "--user", "u1", "--prop", "answer=404", "--wait")
    assert said.code == 5
    assert "orders: dead" in said.out
    message_id = said.out.split()[0]
    assert [row[:4] for row in (await whole.run("dead", "ls", message_id)).rows] == [["orders", message_id, "track", "Doomed"]]
    for words in (["--code", "404"], ["--since", "1h"], ["--to", "orders"]):
        assert message_id in (await whole.run("dead", "ls", *words)).out
    assert (await whole.run("dead", "ls", "--code", "499")).code == 4
    assert (await whole.run("dead", "ls", "--to", "nobody")).code == 4
    shown = (await whole.run("dead", "show", message_id)).out
    assert "  > POST " in shown
    assert "  < said the receiver" in shown
    assert SECRET not in shown
    before = whole.receiver.count
    assert (await whole.run("dead", "resend", message_id)).code == 2
    assert (await whole.run("dead", "resend", message_id, "--dry-run", "--json")).json == {"count": 1, "dry_run": True}
    assert (await whole.run("dead", "resend", message_id, "--yes")).code == 0
    await eventually(lambda: whole.receiver.count == before + 1)

    async def is_dead_again() -> bool:
        return (await whole.run("dead", "ls", message_id)).code == 0

    await eventually(is_dead_again, every_s=0.1)
    assert (await whole.run("dead", "discard", message_id, "--yes")).code == 0
    assert (await whole.run("dead", "discard", message_id, "--yes")).code == 4


async def test_a_held_destination_keeps_what_comes_until_it_is_resumed(whole):
    assert (await whole.run("hold", "orders")).code == 0
    doctor = await whole.run("doctor", "--json")
    assert {"destination orders": "warn"}.items() <= {one["name"]: one["state"] for one in doctor.json["findings"]}.items()
    said = await whole.run("send", "track", "--event", "Held", "--user", "u1", "--wait", "--timeout", "1s")
    assert (said.code, "orders: held" in said.out) == (1, True)
    assert (await whole.run("resume", "orders", "--json")).json == {"destination": "orders", "held": False}
    await eventually(lambda: "Held" in [one.get("event") for one in whole.receiver.bodies])
    assert (await whole.run("hold", "nobody")).code == 4


def this_moment() -> str:
    return datetime.now(UTC).isoformat()


async def test_a_replay_counts_runs_is_followed_and_can_be_looked_at(whole):
    since = ["--since", this_moment()]
    await whole.message_id("--event", "Replayed")
    counted = await whole.run("replay", "--to", "orders", *since, "--dry-run", "--json")
    assert (counted.json["count"], counted.json["dry_run"]) == (1, True)
    assert (await whole.run("replay", "--to", "orders", *since)).code == 2
    done = await whole.run("replay", "--to", "orders", *since, "--yes", "--wait", "--json")
    assert done.code == 0, done
    assert (done.json["finished"], done.json["done"], done.json["total"]) == (True, 1, 1)
    assert [one.get("event") for one in whole.receiver.bodies].count("Replayed") == 2
    name = done.json["name"]
    assert (await whole.run("replay", "--job", name)).out == f"{name} to orders: 1 of 1, finished (delivered 1)\n"
    assert (await whole.run("replay", "--job", name, "--wait")).code == 0
    assert name in [row[0] for row in (await whole.run("replay", "--jobs")).rows]
    started = await whole.run("replay", "--to", "orders", *since, "--yes")
    assert started.out.strip() in [row[0] for row in (await whole.run("replay", "--jobs")).rows]


async def test_a_replay_of_nothing_matches_nothing_and_one_that_ends_dead_is_exit_5(whole):
    for more in (["--dry-run"], ["--yes"]):
        assert (await whole.run("replay", "--to", "orders", "--since", "2h", "--until", "1h", *more)).code == 4
    assert (await whole.run("replay", "--to", "nobody", "--since", "2h", "--yes")).code == 4
    assert (await whole.run("replay", "--job", "nobody#1")).code == 4
    assert (await whole.run("replay", "--to", "orders", "--since", "1h", "--source", "other", "--yes")).code == 1
    since = this_moment()
    await whole.message_id("--event", "Doomed again", "--prop", "answer=422")
    said = await whole.run("replay", "--to", "orders", "--since", since, "--yes", "--wait")
    assert (said.code, "dead 1" in said.out) == (5, True)
    assert (await whole.run("dead", "discard", "--code", "422", "--yes", "--json")).json["count"] == 2


async def test_a_viewer_reads_and_may_not_write(whole):
    made = await whole.run("token", "new", "--name", "eyes", "--role", "viewer", "--expires", "1h")
    assert made.code == 0
    viewer = made.out.strip()
    listed = await whole.run("token", "ls", "--json")
    assert viewer not in listed.out
    (row,) = [one for one in listed.json["tokens"] if one["name"] == "eyes"]
    assert row["expires_s"] - row["created_s"] == pytest.approx(3600, abs=2)
    for words in (["dead", "ls"], ["replay", "--jobs"]):
        assert (await whole.run(*words, RELAY_TOKEN=viewer)).code in (0, 4)
    for words in (["hold", "orders"], ["replay", "--to", "orders", "--since", "1h", "--dry-run"], ["token", "ls"], ["send", "track", "--event", "E"]):
        said = await whole.run(*words, RELAY_TOKEN=viewer)
        assert (said.code, viewer in said.err) == (77, False), words
    assert (await whole.run("token", "revoke", row["id"])).code == 2
    assert (await whole.run("token", "revoke", row["id"], "--yes")).code == 0
    assert (await whole.run("dead", "ls", RELAY_TOKEN=viewer)).code == 77
    assert (await whole.run("token", "revoke", row["id"], "--yes")).code == 4


async def test_doctor_sees_the_running_relay_and_packs_no_secret(whole):
    await whole.message_id("--event", "Looked at", "--prop", "n=1")
    said = await whole.run("doctor", "--json", "--bundle", "help.tgz")
    assert said.code == 0, said
    assert "ready at" in next(one["detail"] for one in said.json["findings"] if one["name"] == "relay")
    with tarfile.open(whole.process.folder / "help.tgz") as packed:
        text = "".join(packed.extractfile(name).read().decode() for name in packed.getnames())
    assert '"slug": "orders"' in text
    for hidden in (SECRET, "wk_web", whole.process.cli_token):
        assert hidden not in text
    assert (await whole.run("doctor", "--bundle", "help.tgz")).code == 73


async def test_doctor_without_a_running_relay_warns_with_the_remedy(tmp_path):
    ports = free_ports(2)
    environment = {"RELAY__SERVER__LISTEN": f"127.0.0.1:{ports[0]}", "RELAY__UI__LISTEN": f"127.0.0.1:{ports[1]}"}
    done = await asyncio.to_thread(command, ["doctor", "--json"], tmp_path, environment)
    found = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0
    assert (found["relay"]["state"], "relay serve" in found["relay"]["remedy"]) == ("warn", True)


async def test_check_reads_the_configuration_that_runs_and_masks_its_secrets(whole):
    assert (await whole.run("check")).code == 0
    assert (await whole.run("check", "--strict")).code == 1
    printed = await whole.run("check", "--print", "--no-network")
    assert f'"127.0.0.1:{whole.process.ui_port}"' in printed.out
    assert SECRET not in printed.out + printed.err
    assert "wk_web" not in printed.out
    (whole.process.folder / "bad.toml").write_text('[server]\nlisten = "nope"\n[[destination]]\nslug = "x"\ntype = "webhok"\nrate_per_sec = 5\n')
    said = await whole.run("check", "bad.toml")
    assert said.code == 78
    assert all(
        word in said.err for word in ("bad.toml:2", "bad.toml:5", "did you mean 'webhook'", "bad.toml:6", "did you mean 'rate_per_s'", "3 errors")
    )


async def test_the_request_that_a_destination_would_get_is_shown_and_nothing_is_sent(whole):
    before = whole.receiver.count
    said = await whole.run("send", "track", "--event", "Rehearsed", "--user", "u1", "--dry-run", "orders")
    assert said.code == 0
    assert said.out.startswith("POST http://127.0.0.1:")
    assert SECRET not in said.out
    assert (await whole.run("send", "track", "--event", "E", "--dry-run", "nobody")).code == 4
    assert whole.receiver.count == before


async def test_a_running_relay_is_backed_up_and_holds_its_folder(whole):
    said = await whole.run("backup", "copy.db", "--json")
    assert said.json["bytes"] == (whole.process.folder / "copy.db").stat().st_size
    assert (await whole.run("backup", "copy.db")).code == 73
    for words in (["restore", "copy.db", "--yes"], ["recover"], ["serve"]):
        said = await whole.run(*words)
        assert (said.code, "in use by another relay" in said.err) == (3, True), words


async def test_a_stopped_relay_is_restored_recovered_and_starts_again(tmp_path):
    async with Receiver() as receiver:
        process = RelayProcess(tmp_path)
        process.configure(configuration(receiver, (process.port, process.ui_port), process.data))
        async with process:
            whole = Whole(process, receiver)
            kept = await whole.message_id("--event", "Kept")
            assert (await whole.run("backup", "copy.db")).code == 0
            lost = await whole.message_id("--event", "After the backup")
            assert await process.terminate() == 0
            assert (await whole.run("health")).code == 69
            assert (await whole.run("restore", "copy.db")).code == 2
            assert (await whole.run("restore", "copy.db", "--yes")).code == 0
            recovered = await whole.run("recover", "--json")
            assert recovered.json["rows"]["log"] == 1
            await process.start()
            again = json.dumps({"type": "track", "event": "Kept", "userId": "u1", "messageId": kept})
            assert (await whole.run("send", "--file", "-", "--wait", stdin=again)).code == 0
            assert (await whole.run("send", "--file", "-", "--wait", stdin=again.replace(kept, lost))).code == 0
            ids = [one["messageId"] for one in receiver.bodies]
            assert (ids.count(kept), ids.count(lost)) == (1, 2)  # the duplicate was dropped; what the backup did not know came again
            assert re.search(r'relay_events_deduplicated_total\{source="web"\} 1\.0', await whole.metrics())
            assert await process.terminate() == 0
            (process.data / "relay.db").write_bytes(b"no database at all" * 500)
            for name in ("relay.db-wal", "relay.db-shm"):
                (process.data / name).unlink(missing_ok=True)
            assert (await whole.run("serve")).code == 65
            assert (await whole.run("recover")).code == 65
            process.configure("[nonsense]\n")
            assert (await whole.run("serve")).code == 78


async def test_every_documented_metric_is_on_the_page(whole):
    await whole.message_id("--event", "Counted")
    text = await whole.metrics()
    named = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    documented = {*COUNTERS, *GAUGES, *HISTOGRAMS, *(f"relay_entries_{door}_total" for door in DOORS)}
    assert documented <= named
    counted = {name for name, value in re.findall(r"^(\w+?)(?:_count)?(?:\{.*\})? (\S+)$", text, re.MULTILINE) if float(value) > 0}
    assert {"relay_ingest_requests_total", "relay_ingest_bytes_total", "relay_ingest_request_duration_seconds"} <= counted
    assert {"relay_attempts_total", "relay_events_received_total", "relay_entries_delivered_total", "relay_workspace_version"} <= counted
    assert re.search(r'^relay_ingest_requests_total\{source="web",status_class="2xx"\} [1-9]', text, re.MULTILINE)


async def test_a_port_in_use_and_an_unwritable_place_have_exit_codes_of_their_own(whole, tmp_path):
    listen = f"127.0.0.1:{whole.process.port}"
    done = await asyncio.to_thread(command, ["serve", "--listen", listen, "--ui-listen", "127.0.0.1:0"], tmp_path, {})
    assert (done.returncode, listen.rpartition(":")[2] in done.stderr, "Traceback" in done.stderr) == (74, True, False)
    done = await asyncio.to_thread(command, ["token", "ls", "--token-file", "none"], tmp_path, {})
    assert done.returncode == 77


async def test_an_interrupted_wait_ends_with_130_and_no_traceback(whole):
    assert (await whole.run("hold", "orders")).code == 0
    # A shell that runs the tests in the background has SIGINT ignored, and children inherit that.
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from relay.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", start, "send", "track", "--event", "Interrupted", "--user", "u1", "--wait"]
    with subprocess.Popen(words, cwd=whole.process.folder, env=clean({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        assert waiting.stderr is not None
        said = await asyncio.to_thread(waiting.stderr.readline)
        waiting.send_signal(signal.SIGINT)
        _, rest = await asyncio.to_thread(waiting.communicate, timeout=30)
    assert said.startswith(b"1 event sent")
    assert (waiting.returncode, b"Traceback" in rest) == (130, False)
    assert (await whole.run("resume", "orders")).code == 0


async def test_a_table_on_a_terminal_keeps_ids_whole_and_names_harmless(whole):
    message_id = await whole.message_id("--event", "Evil \x1b[2J", "--prop", "answer=404")
    said = await whole.run("dead", "ls", message_id, terminal=True, COLUMNS="40", TERM="xterm")
    assert message_id in said.out
    assert "\x1b[" in said.out
    assert "\x1b[2J" not in said.out
    said = await whole.run("dead", "ls", message_id, terminal=True, NO_COLOR="1", TERM="xterm")
    assert "\x1b[3" not in said.out
    plain = await whole.run("dead", "ls", message_id)
    assert "\x1b" not in plain.out
    assert "\t" not in plain.out
    assert (await whole.run("dead", "discard", message_id, "--yes")).code == 0
