"""Deletion requests on a whole relay: after one, the id is in no byte of the data folder, others keep everything, and the receipt is right."""

import asyncio
import base64
import json
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from backports import zstd

from relay.access.operator import SIGNAL
from relay.access.store import AuditRecord, TokenStore
from relay.alerts.store import Alert, Content
from relay.base.clock import SystemClock
from relay.cli import main
from relay.database import connect
from relay.errors import RequestError
from relay.pipeline.derived import alert_event
from tests.support.app import Running, running, source, table, webhook
from tests.support.clickhouse import ClickHouseServer
from tests.support.moto import moto
from tests.support.postgres import PostgresServer
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually

USER = "subject-4711-of-the-request"
OTHERS = [f"somebody-{number}" for number in range(19)]
EVENTS, DEAD, LATE = 2_000, 40, range(1_000, 1_000 + 20 * 41, 41)
"""One that is late for each user, far apart, so that the breaker stays closed."""
ANONYMOUS = "anonymous-before-the-login"


def event(number: int) -> dict[str, Any]:
    user = [*OTHERS, USER][number % 20]
    name = "Dead" if number < DEAD else "Late" if number in LATE else "Tested"
    return {"type": "track", "userId": user, "event": name, "messageId": f"m{number}", "properties": {"n": number, "pad": "x" * (number % 7 * 200)}}


def more() -> list[dict[str, Any]]:
    """Beside the many: the other calls, what is refused, and what comes twice."""
    good = [
        {"type": "identify", "userId": USER, "anonymousId": ANONYMOUS, "messageId": "i1", "traits": {"email": "a@example.com"}},
        {"type": "identify", "userId": OTHERS[0], "messageId": "i2"},
        {"type": "alias", "userId": OTHERS[1], "previousId": USER, "messageId": "a1"},
        {"type": "alias", "userId": USER, "previousId": "older", "messageId": "a2"},
        {"type": "group", "userId": USER, "groupId": "g1", "messageId": "g1"},
    ]
    bad = [{"type": "track", "userId": user, "messageId": f"bad-{user}", "properties": {"of": user}} for user in (USER, OTHERS[0])]
    return good + bad + [event(number) for number in range(1_500, 1_540)]


TABLES = ("log", "row", "refused")
OWN = EVENTS // 20 + 5
"""Events of the log that are the user's: a twentieth, identify, two aliases, group, and the last one."""


async def behave(request: web.BaseRequest) -> web.StreamResponse:
    """Refuses what is called Dead, is not ready for what is called Late, and takes everything else."""
    body = json.loads(await request.read() or b"{}")
    return web.Response(status={"Dead": 400, "Late": 503}.get(body.get("event", ""), 200), body=json.dumps({"about": body.get("userId")}).encode())


def config(receiver: Receiver, *, codec: str = "gzip", extra: str = "") -> str:
    archive = {"slug": "cold", "type": "archive", "settings": {"roll_bytes": 150_000, "compression": codec}}
    braze = {
        "slug": "brz", "type": "braze", "endpoint": receiver.url, "allow_private": receiver.allow,
        "settings": {"api_key": "key", "endpoint": "https://rest.iad-01.braze.com"},
    }  # fmt: skip
    never = table("destination.mapping", {"action": "trackEvent", "trigger": 'event = "Never"', "name": "never"})
    hook = webhook("hook", receiver, first_delay_s=900, max_delay_s=1800)
    return source() + table("destination", archive) + hook + table("destination", braze) + never + extra


class Client:
    """Sends events to a relay and asks its console, as SDK and operator do."""

    def __init__(self, relay: RelayProcess, http: aiohttp.ClientSession) -> None:
        self._relay, self._http = relay, http

    async def send(self, events: list[dict[str, Any]]) -> int:
        key = {"authorization": f"Basic {base64.b64encode(b'wk_web:').decode()}"}
        async with self._http.post(f"{self._relay.tracking_url}/v1/batch", json={"batch": events}, headers=key) as told:
            return told.status

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"authorization": f"Bearer {self._relay.cli_token}"}
        async with self._http.request("GET" if body is None else "POST", f"{self._relay.ui_url}/ui/api/{path}", json=body, headers=headers) as told:
            assert told.status == 200, await told.text()
            return await told.json()

    async def fill(self) -> None:
        """All events, delivered, dead, waiting, archived."""
        for first in range(0, EVENTS, 100):
            assert await self.send([event(number) for number in range(first, first + 100)]) == 200
        assert await self.send(more()) == 200

        async def is_still() -> bool:
            told = {one["slug"]: one for one in (await self.ask("status"))["destinations"]}
            return (
                told["cold"]["pending"] == 0
                and told["hook"]["dead"] == DEAD
                and told["hook"]["pending"] == told["hook"]["retry"] + told["hook"]["parked"] > 20
            )

        await eventually(is_still, 30)
        assert await self.send([event(19) | {"messageId": "last"}]) == 200  # so that a file is open in any case
        await eventually(is_still, 30)

    async def ended(self, job_id: str) -> dict[str, Any]:
        async def over() -> Any:
            job = await self.ask(f"forget/{job_id}")
            return job if job["finished_s"] else None

        return await eventually(over, 60)  # type: ignore[no-any-return]


@asynccontextmanager
async def client(relay: RelayProcess) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(relay, http)


def traces(folder: Path, needle: str) -> list[str]:
    """Files in whose bytes, as stored or inflated, the id stands."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            plain = inflated(path.name, data)
            if needle.encode() in data or needle.encode() in plain:
                found.append(str(path.relative_to(folder)))
    return found


def inflated(name: str, data: bytes) -> bytes:
    """As far as it goes: the last member may still grow."""
    parts = []
    while data:
        reader: Any = zlib.decompressobj(31) if ".gz" in name else zstd.ZstdDecompressor() if ".zst" in name else None
        if reader is None:
            return data
        try:
            parts.append(reader.decompress(data))
        except (zlib.error, zstd.ZstdError):
            break
        if not reader.eof or reader.unused_data == data:
            break
        data = reader.unused_data
    return b"".join(parts)


def is_file(path: Path) -> bool:
    """Whether events lie in it."""
    return "manifest" not in path.parts and path.suffix != ".seqs"


def archived(data: Path) -> Counter[str]:
    """Lines of the archive by user."""
    files = [path for path in (data / "archive").rglob("*.ndjson*") if is_file(path)]
    return Counter(json.loads(line)["userId"] for path in files for line in inflated(path.name, path.read_bytes()).splitlines())


def kept(data: Path) -> dict[str, Counter[str]]:
    """What the database has by user: log, rows, refused; and the refused by code."""
    reader = connect.open_reader(data / "relay.db")
    try:
        counts = {}
        for name, column in (("log", "key1"), ("row", "key1"), ("refused", "user_id"), ("refused", "code")):
            counts[name if column != "code" else column] = Counter(
                dict(reader.execute(f"SELECT coalesce({column}, ''), count(*) FROM {name} GROUP BY 1").fetchall())
            )
        return counts
    finally:
        reader.close()


def without(counts: Counter[str]) -> dict[str, int]:
    return {user: count for user, count in counts.items() if user not in (USER, "")}


def receipt(job: dict[str, Any]) -> dict[str, tuple[str, int, int]]:
    return {one["name"]: (one["status"], one["found"], one["erased"]) for one in job["stores"]}


def expected(before: dict[str, Counter[str]]) -> dict[str, tuple[str, int, int]]:
    done = "FINISHED"
    waiting = before["row"][USER] - 2
    return {
        "suppression_list": (done, 1, 0), "log": (done, OWN, OWN), "waiting": (done, waiting + 1, waiting + 1), "dead_letters": (done, 2, 2),
        "refused": (done, 3, 3), "alerts": (done, 0, 0), "audit": (done, 0, 0), "violations": (done, 0, 0), "dry_run": (done, 0, 0), "debugger": (done, 0, 0), "cold": (done, OWN, OWN),
        "hook": ("NOT_SUPPORTED", 0, 0), "brz": (done, 1, 1), "relay.db": (done, 0, 0),
    }  # fmt: skip


@pytest.mark.parametrize("codec", ["gzip", "zstd", "none"])
async def test_after_a_request_the_id_is_nowhere_and_others_keep_everything(tmp_path: Path, codec: str) -> None:
    async with Receiver() as receiver:
        receiver.default = behave
        async with RelayProcess(tmp_path, config(receiver, codec=codec)) as relay, client(relay) as by:
            await by.fill()
            files = sorted(path.name for path in (relay.data / "archive").rglob("*.ndjson*") if "manifest" not in path.parts)
            assert len(files) > 3
            assert any(name.endswith(".part") for name in files)
            before, lines = kept(relay.data), archived(relay.data)
            assert lines[USER] == OWN - 1  # the alias of another's names it as its previous id
            assert len(traces(relay.data, USER)) > 3

            job = await by.ended((await by.ask("forget", {"user_ids": [USER]}))["id"])
            told = receipt(job)
            for sampled in (told.pop("samples"), told.pop("fields")):
                assert sampled[0] == "FINISHED"
                assert sampled[1] == sampled[2], "which events are sampled is a matter of time"
            assert told == expected(before)
            assert (job["status"], job["subjects"], len(job["hashes"])) == ("FINISHED", 1, 1)

            assert traces(relay.data, USER) == []
            after = kept(relay.data)
            assert [without(after[name]) for name in TABLES] == [without(with_alias(before)[name]) for name in TABLES]
            assert without(archived(relay.data)) == without(lines - Counter({OTHERS[1]: 1}))
            assert (await by.ask("forget/verify", {"user_id": USER})) == {"found": [], "clean": True, "suppressed": True}
            assert main(["archive", "verify", "--config", str(relay.config_path), "--data", str(relay.data)]) == 0
            (deletion,) = [one for one in receiver.requests if one.path == "/users/delete"]
            assert deletion.json == {"external_ids": [USER]}

            assert await by.send([event(number) | {"messageId": f"{USER}-{number}"} for number in range(19, 400, 20)]) == 200
            assert traces(relay.data, USER) == []
            assert kept(relay.data)["code"]["suppressed"] == 20
            assert kept(relay.data)["log"][USER] == 0
            assert await relay.terminate() == 0
            assert traces(relay.data, USER) == []
            assert traces(tmp_path, USER) == []


def with_alias(before: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """The alias of another's that names the user goes too, and with it the row in which it waited."""
    return before | {"log": before["log"] - Counter({OTHERS[1]: 1}), "row": before["row"] - Counter({OTHERS[1]: 1})}


async def test_a_request_that_is_killed_goes_on_and_has_the_same_receipt(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        asked = asyncio.Event()

        async def hang(request: web.BaseRequest) -> web.StreamResponse:
            if request.path == "/users/delete":
                asked.set()
                await asyncio.sleep(60)
            return await behave(request)

        receiver.default = hang
        async with RelayProcess(tmp_path, config(receiver)) as relay, client(relay) as by:
            await by.fill()
            before = kept(relay.data)
            job = await by.ask("forget", {"user_ids": [USER]})
            await asyncio.wait_for(asked.wait(), 30)
            relay.kill()
            receiver.default = behave
            await relay.start()
            ended = await by.ended(job["id"])
            told = receipt(ended)
            assert told.pop("samples") and told.pop("fields")
            assert told == expected(before)
            assert ended["status"] == "FINISHED"
            assert traces(relay.data, USER) == []


async def test_a_request_that_is_killed_again_and_again_has_the_same_receipt(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = behave
        async with RelayProcess(tmp_path, config(receiver)) as relay, client(relay) as by:
            await by.fill()
            before = kept(relay.data)
            job = await by.ask("forget", {"user_ids": [USER]})
            for delay_s in (0.01, 0.03, 0.06, 0.12):
                await asyncio.sleep(delay_s)
                relay.kill()
                await relay.start()
            ended = await by.ended(job["id"])
            told = receipt(ended)
            assert told.pop("samples") and told.pop("fields")
            assert told == expected(before)
            assert traces(relay.data, USER) == []
            assert without(archived(relay.data))[OTHERS[0]] == without(archived(relay.data))[OTHERS[2]] + 1, "but for an identify all have the same"


@pytest.mark.parametrize("codec", ["gzip", "none"])
async def test_requests_under_load_cost_nobody_else_an_event(tmp_path: Path, codec: str) -> None:
    cold = table("destination", {"slug": "cold", "type": "archive", "settings": {"roll_bytes": 20_000, "compression": codec}})
    async with Receiver() as receiver, running(source() + cold + webhook("hook", receiver), tmp_path) as relay:
        sent: Counter[str] = Counter()
        over = False

        async def traffic() -> None:
            while not over:
                events = [relay.event(user) for user in (USER, *OTHERS)]
                assert await relay.send(events) == 200
                sent.update(OTHERS)

        flow = asyncio.create_task(traffic())
        await eventually(lambda: sent[OTHERS[0]] > 20)
        for kind in ("DELETE_ONLY", "SUPPRESS_WITH_DELETE"):
            assert (await ended(relay, USER, kind=kind))["status"] == "FINISHED"
        over = True
        await flow
        await relay.settled("cold", "hook")
        await ended(relay, USER, kind="DELETE_ONLY")
        assert traces(tmp_path, USER) == []
        assert archived(tmp_path / "data") == sent
        got = {body["messageId"]: body["userId"] for body in receiver.bodies}
        assert without(Counter(got.values())) == sent


async def test_a_copy_of_the_database_from_before_an_upgrade_is_told(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay:
        await relay.track(USER)
        (tmp_path / "data" / "relay.db.v1").write_bytes(f"an old page with {USER} in it".encode())
        job = await ended(relay, USER)
        assert job["status"] == "PARTIAL_SUCCESS"
        assert receipt(job)["relay.db.v1"] == ("FAILED", 1, 0)
        assert traces(tmp_path, USER) == ["data/relay.db.v1"]
        assert (await relay.app.forget.verify(USER))["found"] == [{"store": "relay.db.v1", "count": 1, "error": ""}]


async def test_alerts_and_audit_records_keep_what_happened_but_not_to_whom(tmp_path: Path) -> None:
    async with running(source(), tmp_path, settings=("alerts.enabled=false",)) as relay:
        said = Content(text=f"hook refuses {USER}", why="w", sample={"code": "400", "status": 400, "answer": f"no such user: {USER}"})
        alert = await relay.app.alert_store.add(Alert(0, "c", "firing", "r", "k", "destination", "hook", 1, 1, 1.0, content=said))
        relay.app.watch.alerts["c"] = alert
        fired = [alert_event("Alert Fired", {"text": text}, message_id=f"alert-{len(text)}", at_ms=1) for text in (said.text, "another")]
        await relay.app.outbox.append(fired)
        tokens = TokenStore(relay.app.database, SystemClock())
        await tokens.audit(AuditRecord(1.0, "me", "event.retry", "hook", f"for {USER}"))
        await tokens.audit(AuditRecord(2.0, "me", "event.retry", "hook", f"for {USER}-2"))
        told = receipt(await ended(relay, USER))
        assert (told["log"], told["alerts"], told["audit"]) == (("FINISHED", 1, 1),) * 3
        assert relay.app.watch.alerts.pop("c").content == Content(why="w")
        kept_alert = await relay.app.alert_store.get(alert.alert_id)
        assert kept_alert is not None
        assert kept_alert.content == Content(why="w")
        details = [record.detail for _, record in await tokens.audited() if record.action == "event.retry"]
        assert details == [f"for {USER}-2", "(erased)"]


async def test_a_suppressed_user_is_refused_until_the_suppression_is_lifted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with RelayProcess(tmp_path, source()) as relay, client(relay) as by:
        remote = ["--url", relay.ui_url, "--data", str(relay.data)]

        async def run(*words: str) -> int:
            return await asyncio.to_thread(main, ["forget", *words, *remote])

        assert await run(USER, "--type", "suppress_only", "--yes") == 0
        assert traces(relay.data, USER) == []
        assert await by.send([event(19), event(18)]) == 200
        assert kept(relay.data)["log"] == {OTHERS[18]: 1}
        assert kept(relay.data)["code"] == {"suppressed": 1}
        assert traces(relay.data, USER) == []
        await relay.restart()
        assert await by.send([event(39)]) == 200
        assert kept(relay.data)["log"][USER] == 0, "the list outlives a restart"
        assert await run(USER, "--type", "UNSUPPRESS", "--yes", "--wait") == 0
        assert await by.send([event(59)]) == 200
        assert kept(relay.data)["log"][USER] == 1
        capsys.readouterr()
        assert await run("--verify", USER) == 1
        assert "log" in capsys.readouterr().out
        assert await run(USER, "--yes", "--wait", "--json") == 0
        assert json.loads(capsys.readouterr().out)["status"] == "FINISHED"
        assert await run("--verify", USER) == 0
        assert await run("--status") == 0
        listed = capsys.readouterr().out
        assert all(kind in listed for kind in ("SUPPRESS_ONLY", "UNSUPPRESS", "SUPPRESS_WITH_DELETE"))
        assert await run("--status", "1") == 0
        assert "suppression_list" in capsys.readouterr().out
        assert await run("--status", "99") == 4
        assert await run() == 2
        assert traces(relay.data, USER) == []


async def test_what_is_wrong_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    async with running(source(), tmp_path) as relay:
        for ids in ([], [""], [1], ["x" * 1_001], [f"u{number}" for number in range(5_001)]):
            with pytest.raises(RequestError, match="user_ids"):
                await relay.app.forget.start(ids, "DELETE_ONLY", SIGNAL)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="SUPPRESS_WITH_DELETE"):
            await relay.app.forget.start(["u"], "ERASE", SIGNAL)
        with pytest.raises(RequestError, match="no such job"):
            await relay.app.forget.job(1)
        assert await relay.app.forget.jobs() == {"jobs": [], "suppressed": 0}


async def ended(relay: Running, *user_ids: str, kind: str = "SUPPRESS_WITH_DELETE") -> dict[str, Any]:
    job = await relay.app.forget.start(list(user_ids), kind, SIGNAL)

    async def over() -> Any:
        told = await relay.app.forget.job(int(job["id"]))
        return told if told["finished_s"] else None

    return await eventually(over, 30)  # type: ignore[no-any-return]


async def test_an_event_that_is_on_its_way_while_its_user_is_erased_leaves_no_row(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        arrived, go_on = asyncio.Event(), asyncio.Event()

        async def slow(request: web.BaseRequest) -> web.StreamResponse:
            arrived.set()
            await go_on.wait()
            return web.Response(status=503)

        receiver.default = slow
        async with running(source() + webhook("hook", receiver, first_delay_s=900, max_delay_s=1_800), tmp_path) as relay:
            await relay.track(USER)
            await asyncio.wait_for(arrived.wait(), 5)
            await relay.app.outbox.erase([USER])
            go_on.set()
            await relay.settled("hook")
            assert await relay.rows("hook") == []
            assert await relay.doors("hook") == {"discarded": 1}
            receiver.default = answer(200)


async def test_the_live_rows_of_a_user_go_and_the_tail_hands_out_nothing_of_before(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.app.operations.hold("hook", SIGNAL)
        live = relay.app.live._live
        await live.enter()
        for number in range(5):
            await relay.track(USER, n=number)
            await relay.track(OTHERS[0], n=number)
        tap = live.tap
        await eventually(lambda: len(tap) == 10)
        told = receipt(await ended(relay, USER))
        assert told["debugger"] == ("FINISHED", 5, 5)
        assert {entry.row["user_id"] for entry in tap.entries()} == {OTHERS[0]}
        await relay.app.operations.resume("hook", SIGNAL)
        await relay.settled("hook")
        assert Counter(body["userId"] for body in receiver.bodies) == {OTHERS[0]: 5}
        live.leave()


async def test_a_dry_run_that_shows_the_user_is_forgotten(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path) as relay:
        await relay.track(USER)
        mapping = {"name": "All events", "action": "send", "trigger": 'type = "track"', "fields": {"data": {"about": {"@path": "$.userId"}}}}
        for changes, count in (({}, 0), ({"destinations": {"hook": {"mapping": [mapping]}}}, 1)):
            job = await relay.app.dry_runs.start(changes, 0)
            await eventually(lambda job=job: relay.app.dry_runs.tell(job["id"])["status"] == "finished")
            assert receipt(await ended(relay, USER, kind="DELETE_ONLY"))["dry_run"] == ("FINISHED", count, count)
            await relay.track(USER)
        with pytest.raises(RequestError, match="no longer kept"):
            relay.app.dry_runs.tell(job["id"])


async def test_warehouses_lose_the_rows_of_the_user_and_no_others(tmp_path: Path) -> None:
    with PostgresServer() as postgres, ClickHouseServer() as clickhouse:
        destinations = [
            {"slug": "pg", "type": "postgres", "allow_private": postgres.allow, "settings": postgres.settings},
            {"slug": "ch", "type": "clickhouse", "allow_private": clickhouse.allow, "settings": clickhouse.settings},
        ]
        async with running(source() + "".join(table("destination", one) for one in destinations), tmp_path) as relay:
            assert await relay.send([event(number) for number in range(200)] + more()[:5]) == 200
            await relay.settled("pg", "ch")
            assert await postgres.fetchval("SELECT count(*) FROM web.tracks") == 200
            told = receipt(await ended(relay, USER))
            # tracks and a table per event name, identify, users, alias twice, group
            assert told["pg"] == told["ch"] == ("FINISHED", 10 + 10 + 5, 25)
            for name, count in (("tracks", 190), ("identifies", 1), ("users", 1), ("aliases", 0), ("groups", 0), ("accounts", 1)):
                assert await postgres.fetchval(f"SELECT count(*) FROM web.{name}") == count, name
                assert await clickhouse.count(f"web.{name}") == count, name
            assert (await relay.app.forget.verify(USER))["clean"]


async def test_objects_of_a_bucket_are_written_again_without_the_user(tmp_path: Path) -> None:
    async with moto() as server:
        settings = server.settings | {"flush_seconds": 1}
        s3 = table("destination", {"slug": "bucket", "type": "s3", "allow_private": [f"127.0.0.1:{server.port}"], "settings": settings})
        async with running(source() + s3, tmp_path) as relay:
            for first in (0, 100, 200):
                assert await relay.send([event(number) for number in range(first, first + 100)]) == 200
                await relay.settled("bucket")
            told = receipt(await ended(relay, USER))
            assert told["bucket"] == ("FINISHED", 15, 15)
            assert (await relay.app.forget.verify(USER))["clean"]
            found = await relay.app.forget.verify(OTHERS[0])
            assert {"store": "bucket", "count": 15, "error": ""} in found["found"]


async def test_a_store_that_cannot_be_reached_is_told_and_the_rest_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.control.places.FIRST_WAIT_S", 0.01)
    away = {
        "slug": "pg",
        "type": "postgres",
        "allow_private": ["127.0.0.1:1"],
        "settings": {"host": "127.0.0.1", "port": 1, "database": "d", "user": "u", "tls": "disable"},
    }
    async with running(source() + table("destination", away), tmp_path) as relay:
        await relay.track(USER)
        job = await ended(relay, USER)
        assert job["status"] == "PARTIAL_SUCCESS"
        (entry,) = [one for one in job["stores"] if one["name"] == "pg"]
        assert entry["status"] == "FAILED"
        assert entry["error"]
        assert receipt(job)["log"] == ("FINISHED", 1, 1)
        assert traces(tmp_path, USER) == []
