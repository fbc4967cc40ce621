"""Alerts end to end: one per cause, carried by ordinary destinations, resolved by recovery, and safe over a restart."""

import asyncio
import itertools
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from aiohttp import web

from relay.access.operator import Operator, Role
from relay.app import Seams
from relay.cli import main
from relay.database.database import Database
from relay.errors import StoreError
from tests.support.app import FastClock, Running, running, source, table, webhook
from tests.support.receiver import Receiver, answer
from tests.support.smtp import MailServer
from tests.support.waiting import eventually

QUICK = ("alerts.check_every_s=0.25",)
T = TypeVar("T")
OPERATOR = Operator("t", "tester", Role.OPERATOR)
PASSED = ("Alert Fired", "Alert Reminded", "Alert Resolved")


def mailer(mail: MailServer) -> str:
    settings = {"host": "127.0.0.1", "port": mail.port, "security": "plain", "from": "relay@example.com", "to": ["ops@example.com"]}
    return table("destination", {"slug": "mail", "type": "email", "sources": ["relay"], "allow_private": mail.allow, "settings": settings})


def chat(receiver: Receiver) -> str:
    """A server that speaks Slack's webhooks."""
    settings = {"url": f"{receiver.url}/chat"}
    return table("destination", {"slug": "chat", "type": "slack", "sources": ["relay"], "allow_private": receiver.allow, "settings": settings})


def carrier(receiver: Receiver, slug: str = "ops") -> str:
    return webhook(slug, receiver, sources=["relay"])


async def console(relay: Running, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    headers = {"authorization": f"Bearer {relay.app.cli_token}"}
    async with aiohttp.ClientSession() as http, http.request(method, f"{relay.app.ui_url}/ui/api/{path}", json=body, headers=headers) as got:
        told = await got.json()
        assert got.status == status, told
        return told


async def settled_checks(relay: Running, count: int = 3) -> None:
    """Until so many further looks have been taken."""
    upto = relay.app.watch.checks + count
    await eventually(lambda: relay.app.watch.checks >= upto, 20)


def events(receiver: Receiver, path: str = "/ops") -> list[tuple[str, dict[str, Any]]]:
    """(event, properties) of what the carrier got."""
    return [(one.json["event"], one.json["properties"]) for one in receiver.requests if one.path == path]


async def test_a_wrong_key_fires_one_alert_with_its_cure_and_recovery_resolves_it(tmp_path: Path) -> None:
    async with Receiver() as receiver, MailServer() as mail:
        receiver.by_path["/orders"] = answer(401, body=b'{"message": "bad key", "token": "tok_canary"}')
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver) + mailer(mail) + chat(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:
            await relay.track_many(2_000)
            ((name, told),) = await eventually(lambda: events(receiver), 10)
            assert name == "Alert Fired"
            assert (told["rule"], told["kind"], told["subject"]) == ("held", "held", {"kind": "destination", "slug": "orders"})
            assert told["code"] == "credentials"
            assert "valid key" in told["cure"]
            assert "relay resume orders" in told["cure"]
            assert told["sample"]["status"] == 401
            assert "bad key" in told["sample"]["answer"]
            assert "canary" not in told["sample"]["answer"]
            assert told["url"] == f"{relay.app.ui_url}/ui/alerts"
            await settled_checks(relay)
            assert len(events(receiver)) == 1, "one alert, not one per failure"

            receiver.by_path["/orders"] = answer(200)
            await relay.app.operations.resume("orders", OPERATOR)
            fired, resolved = await eventually(lambda: events(receiver) if len(events(receiver)) > 1 else None, 20)
            assert (resolved[0], resolved[1]["alert_id"], resolved[1]["state"]) == ("Alert Resolved", fired[1]["alert_id"], "resolved")
            await relay.settled("orders", "ops", "mail", "chat")
            await settled_checks(relay, 6)
            assert [name for name, _ in events(receiver)] == ["Alert Fired", "Alert Resolved"]
            told = await console(relay, "GET", "alerts")
            assert told["firing"] == []
            assert [one["deliveries"] for one in told["history"]] == [
                [{"destination": slug, "state": "delivered"} for slug in ("ops", "mail", "chat")]
            ]
            assert [message["Subject"] for message in mail.messages] == ["[relay] orders: held (firing)", "[relay] orders: held (resolved)"]
            shown = [one.json["text"] for one in receiver.requests if one.path == "/chat"]
            assert [text.partition(" *")[0] for text in shown] == [":red_circle:", ":large_green_circle:"]


@pytest.mark.slow
async def test_ten_thousand_failures_make_one_alert(tmp_path: Path) -> None:
    """Refusals of two kinds in turn: the breaker stays shut and nothing holds the destination, so each event is really refused."""
    statuses = itertools.cycle((400, 422))

    async def refuse(_: web.BaseRequest) -> web.Response:
        return web.Response(status=next(statuses), text="not like this")

    async with Receiver() as receiver:
        receiver.by_path["/orders"] = refuse
        config = source() + webhook("orders", receiver, sources=["web"], concurrency=20) + carrier(receiver)
        async with running(config, tmp_path, settings=(*QUICK, "log.level=error")) as relay:
            await relay.track_many(10_000)
            await relay.settled("orders", timeout_s=60)
            assert await relay.doors("orders") == {"dead": 10_000}
            ((name, told),) = await eventually(lambda: events(receiver), 10)
            assert (name, told["rule"], told["subject"]["slug"]) == ("Alert Fired", "dead", "orders")
            await settled_checks(relay, 6)
            assert len(events(receiver)) == 1, "one alert, not one per failure"
            assert 'relay_alerts_fired_total{rule="dead"} 1.0' in await metrics_of(relay)
            assert sum(one.path == "/orders" for one in receiver.requests) == 10_000


async def test_a_receiver_that_fails_fires_with_the_second_look(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(503, body=b"out of order")
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=("alerts.check_every_s=3600",)) as relay:
            await settled_checks(relay, 1 - relay.app.watch.checks)
            await relay.track_many(200)
            await eventually(lambda: is_open(relay), 20)
            await relay.app.watch.check()
            assert not relay.app.watch.alerts
            await relay.app.watch.check()
            ((_, told),) = await eventually(lambda: events(receiver), 10)
            assert (told["kind"], told["code"], told["sample"]["answer"]) == ("breaker_open", "503", "out of order")
            metrics = await metrics_of(relay)
            assert 'relay_alerts_firing{rule="breaker open"} 1.0' in metrics
            assert 'relay_alerts_fired_total{rule="breaker open"} 1.0' in metrics

            receiver.by_path.clear()  # the next probe closes the breaker
            await relay.track_many(300)
            await relay.settled("orders", timeout_s=40)
            for _ in range(4):
                assert relay.app.watch.alerts
                await relay.app.watch.check()
            assert not relay.app.watch.alerts
            await eventually(lambda: [name for name, _ in events(receiver)] == ["Alert Fired", "Alert Resolved"], 10)
            assert 'relay_alerts_firing{rule="breaker open"} 0.0' in await metrics_of(relay)


async def is_open(relay: Running) -> bool:
    return bool(((await relay.cursor("orders")).state.get("breaker") or {}).get("state", "closed") != "closed")


async def metrics_of(relay: Running) -> str:
    async with aiohttp.ClientSession() as http, http.get(f"{relay.app.ui_url}/metrics") as got:
        return await got.text()


async def test_the_destination_it_is_about_does_not_get_the_alert(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path["/both"] = answer(401)
        config = source() + webhook("both", receiver, sources=["web", "relay"]) + carrier(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:
            await relay.track("u1")
            await eventually(lambda: events(receiver), 10)
            receiver.by_path.clear()
            await relay.app.operations.resume("both", OPERATOR)
            await relay.settled("both", "ops")
            assert await relay.counted("both", "filtered") == {"about_itself": 1}
            assert not [one for one in receiver.requests if one.path == "/both" and one.json["event"] in PASSED]


async def test_a_restart_neither_fires_again_nor_forgets(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(401)
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:
            await relay.track("u1")
            await eventually(lambda: events(receiver), 10)
            await relay.settled("ops")
            (alert,) = (await console(relay, "GET", "alerts"))["firing"]
        async with running(config, tmp_path, settings=QUICK) as relay:
            await settled_checks(relay, 6)
            assert [one["id"] for one in (await console(relay, "GET", "alerts"))["firing"]] == [alert["id"]]
            assert 'relay_alerts_firing{rule="held"} 1.0' in await metrics_of(relay)
            assert len(events(receiver)) == 1
            receiver.by_path.clear()
            await relay.app.operations.resume("orders", OPERATOR)
            await eventually(lambda: len(events(receiver)) == 2, 20)
            assert [name for name, _ in events(receiver)] == ["Alert Fired", "Alert Resolved"]


async def test_what_was_stored_but_not_told_is_told_once_after_a_restart(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(401)
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:
            await relay.track("u1")
            await eventually(lambda: events(receiver), 10)
            await relay.settled("ops")
            # As after a crash between the append of the event and its mark.
            await relay.app.database.write(lambda connection: connection.execute("UPDATE alert SET told = 0, untold = 'fired'").rowcount)
        async with running(config, tmp_path, settings=QUICK) as relay:
            await settled_checks(relay, 3)
            await relay.settled("ops")
            assert len(events(receiver)) == 1
            assert next(iter(relay.app.watch.alerts.values())).told == 1


class Flaky:
    """A database that refuses the next writes, as a full disk does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refusals = 0
        self.read = database.read

    async def write(self, run: Callable[[sqlite3.Connection], T], *, sheds: bool = False) -> T:
        assert sheds, "a full disk must not stop the watch"
        if self.refusals:
            self.refusals -= 1
            raise StoreError("disk full")
        return await self._database.write(run, sheds=sheds)


@pytest.mark.parametrize("refusals", [1, 2, 3, 5])
async def test_a_store_that_refuses_costs_looks_and_no_alert(refusals: int, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(401)
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:
            flaky = Flaky(relay.app.database)
            relay.app.alert_store._database = flaky
            await settled_checks(relay, 1)
            flaky.refusals = refusals
            await relay.track("u1")
            await eventually(lambda: events(receiver), 10)
            flaky.refusals = refusals
            receiver.by_path.clear()
            await relay.app.operations.resume("orders", OPERATOR)
            await eventually(lambda: len(events(receiver)) == 2, 20)
            assert [name for name, _ in events(receiver)] == ["Alert Fired", "Alert Resolved"]
            assert flaky.refusals == 0


async def test_a_muted_cause_is_silent_until_the_mute_ends(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(401)
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=(*QUICK, "alerts.repeat_every_h=1"), seams=Seams(clock=clock)) as relay:
            await relay.track("u1")
            await eventually(lambda: events(receiver), 10)
            (alert,) = (await console(relay, "GET", "alerts"))["firing"]
            muted = await console(relay, "POST", f"alerts/{alert['id']}/mute", {"hours": 3})
            assert muted["muted_by"]
            clock.advance(2 * 3600)
            await settled_checks(relay)
            assert len(events(receiver)) == 1
            (shown,) = (await console(relay, "GET", "alerts"))["firing"]
            assert shown["muted_until_s"] == muted["muted_until_s"]
            clock.advance(1.1 * 3600)
            await eventually(lambda: len(events(receiver)) == 2, 10)
            assert events(receiver)[1][0] == "Alert Reminded"
            await console(relay, "POST", "alerts/999/mute", {"hours": 1}, status=404)
            await console(relay, "POST", f"alerts/{alert['id']}/mute", {}, status=400)
            await console(relay, "POST", f"alerts/{alert['id']}/mute", {"hours": -1}, status=400)


async def test_a_stronger_cause_of_the_same_trouble_is_told_under_the_same_alert(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(400, body=b"no such field")
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:
            await relay.track_many(12)
            ((name, told),) = await eventually(lambda: events(receiver), 10)
            assert (name, told["kind"], told["sample"]["answer"]) == ("Alert Fired", "dead", "no such field")
            assert "relay dead resend --to orders" in told["cure"]
            receiver.by_path["/orders"] = answer(410)
            await relay.track_many(12)
            (_, (again, stronger)) = await eventually(lambda: events(receiver) if len(events(receiver)) > 1 else None, 10)
            assert (again, stronger["kind"], stronger["code"], stronger["alert_id"]) == ("Alert Reminded", "held", "gone", told["alert_id"])
            assert "dead" in stronger["also"]


async def test_a_change_just_before_stands_in_the_alert(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:
            receiver.by_path["/wrong"] = answer(403)
            await relay.reload(config.replace("/orders", "/wrong"))
            await relay.track("u1")
            ((_, told),) = await eventually(lambda: events(receiver), 10)
            assert told["change"]["version"] == 2
            assert told["change"]["by"] == "SIGHUP"
            assert told["change"]["changed"] == ["destination orders"]


async def test_a_test_alert_reaches_one_carrier_or_all(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver) + carrier(receiver, "team")
        async with running(config, tmp_path, settings=QUICK) as relay:
            told = await console(relay, "POST", "alerts/test", {"destination": "team"})
            assert told["event_id"].startswith("e")
            await relay.settled("ops", "team")
            assert [properties["test"] for _, properties in events(receiver, "/team")] == [True]
            assert events(receiver) == []
            (story,) = (await console(relay, "GET", f"events?message_id={told['message_id']}"))["events"]
            assert story["source"]["slug"] == "relay"
            await console(relay, "POST", "alerts/test", {})
            await relay.settled("ops", "team")
            assert (len(events(receiver)), len(events(receiver, "/team"))) == (1, 2)
            await console(relay, "POST", "alerts/test", {"destination": "orders"}, status=409)
            await console(relay, "POST", "alerts/test", {"destination": "nobody"}, status=404)
            told = await console(relay, "GET", "alerts")
            assert [one["slug"] for one in told["carriers"]] == ["ops", "team"]
            assert told["firing"] == told["history"] == []


async def test_a_backtest_tells_how_often_a_rule_would_have_fired(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(400)
        rules = table("alerts.rule", {"kind": "dead", "threshold": 5}) + table("alerts.rule", {"name": "never", "kind": "dead", "threshold": 1000})
        async with running(
            rules + source() + webhook("orders", receiver, sources=["web"]), tmp_path, settings=QUICK, seams=Seams(clock=clock)
        ) as relay:
            for _ in range(2):
                await relay.track_many(8)
                await relay.settled("orders")
                clock.advance(6 * 3600)
            told = {one["name"]: one for one in (await console(relay, "GET", "alerts"))["rules"]}
            assert told["dead"]["backtest"] == {"days": 7, "count": 2, "basis": "counts"}
            assert told["never"]["backtest"]["count"] == 0
            assert told["dead"]["threshold"] == 5


async def test_a_fresh_idle_relay_raises_no_alert(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver), tmp_path, settings=QUICK) as relay:
        await relay.track_many(20)
        await settled_checks(relay, 6)
        told = await console(relay, "GET", "alerts")
        assert told["firing"] == told["history"] == []
        assert all(one["enabled"] for one in told["rules"])


async def test_switched_off_nothing_is_watched(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = answer(401)
        async with running(source() + webhook("orders", receiver), tmp_path, settings=(*QUICK, "alerts.enabled=false")) as relay:
            await relay.track("u1")
            await relay.held("orders", "credentials")
            assert not [task for task in relay.app._tasks if task.get_name() == "alerts"]
            assert (await console(relay, "GET", "alerts"))["enabled"] is False


async def test_the_command_line_shows_fires_tests_and_mutes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Receiver() as receiver:
        receiver.by_path["/orders"] = answer(401, body=b"bad \x1b[31mkey")
        config = source() + webhook("orders", receiver, sources=["web"]) + carrier(receiver)
        async with running(config, tmp_path, settings=QUICK) as relay:

            async def typed(*words: str, code: int = 0) -> str:
                told = await asyncio.to_thread(main, ["alerts", *words, "--url", relay.app.ui_url, "--data", str(tmp_path / "data")])
                said = capsys.readouterr()
                assert told == code, said.err
                return said.out + said.err

            assert "No alert fires." in await typed()
            await relay.track("u1")
            await eventually(lambda: events(receiver), 10)
            shown = await typed()
            for part in ("firing", "orders is held by relay (status 401)", "valid key", "bad"):
                assert part in shown
            assert "\x1b" not in shown
            told = json.loads(await typed("--json"))
            assert sorted(told) == ["carriers", "enabled", "firing", "history", "rules"]
            assert "relay why" in await typed("--test", "ops")
            assert "does not carry alerts" in await typed("--test", "orders", code=1)
            assert "muted until" in await typed("--mute", str(told["firing"][0]["id"]), "--hours", "2")
            assert "muted until" in await typed()
