"""The commands that talk to a running relay, against a real server that answers the console's routes."""

import asyncio
import base64
import json
import re

import pytest
from aiohttp import web

from relay.cli import main

TOKEN = "right-token"


class Console:
    """Answers as relay's private and public listener do, on one port, and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.batches = []
        self.dead = 2
        self.ready = 200
        self.polls = 0
        self.end = "delivered"
        self.url = ""

    def application(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def answer(self, request):
        path, body = request.path, await request.text()
        self.asked.append((request.method, request.path_qs, json.loads(body) if body else None))
        if path == "/readyz":
            return web.json_response({"ready": self.ready == 200, "failed": [] if self.ready == 200 else ["store"]}, status=self.ready)
        if path == "/v1/batch":
            return self.take(request, json.loads(body))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": {"code": "unauthorized", "message": "No valid token."}}, status=401)
        answer = self.console(request.method, path.removeprefix("/ui/api/"), json.loads(body) if body else {})
        if answer is None:
            return web.json_response({"error": {"code": "not_found", "message": "There is no such thing."}}, status=404)
        return web.json_response(answer)

    def take(self, request, body):
        if request.headers.get("Authorization") != "Basic " + base64.b64encode(b"wk_web:").decode():
            return web.json_response({"success": False, "message": "unknown write key"}, status=401)
        self.batches.append(body["batch"])
        return web.json_response({"success": True})

    def console(self, method, path, body):
        fixed = {
            ("GET", "status"): {"version": "1", "tracking_url": self.url, "destinations": []},
            ("GET", "sources"): {"sources": [{"slug": "web", "name": "Web", "enabled": True, "write_keys": ["wk_web"]}]},
            ("POST", "destinations/orders/hold"): {"held": True},
            ("POST", "destinations/orders/resume"): {"held": False},
            ("GET", "dead"): {"dead": [letter()] * self.dead, "total": self.dead},
            ("POST", "dead/resend"): {"count": self.dead},
            ("POST", "dead/discard"): {"count": self.dead},
            ("POST", "replay"): {"count": 5} if body.get("dry_run") else {"count": 5, "job": "orders#1"},
            ("GET", "tokens"): {"tokens": [{"id": "t1", "name": "ci", "role": "viewer", "created_s": 1.0, "expires_s": None, "used_s": None}]},
            ("POST", "tokens"): {"id": "t2", "name": body.get("name"), "token": "fresh-token"},
            ("DELETE", "tokens/t1"): {"revoked": True},
        }
        if (method, path) == ("GET", "jobs"):
            self.polls += 1
            doors = {"delivered": 4, "dead": 1 if self.end == "dead" else 0}
            finished = self.polls > 1
            progress = {"finished": finished, "held": False, "done": 5 if finished else 0, "total": 5, "pending": 0 if finished else 5}
            return {"jobs": [{"name": "orders#1", "destination": "orders", "doors": doors, "by": "cli", "started_s": 1.0} | progress]}
        if path.startswith("events"):
            self.polls += 1
            return {"events": [story(self.end if self.polls > 2 else "pending")]} if self.polls > 1 else None
        return fixed.get((method, path))


def letter():
    return {
        "destination": "orders", "job": "", "id": 7, "subscription_id": "send-1", "message_id": "m1", "type": "track", "name": "E", "source": "web",
        "code": "404", "status": 404, "attempts": 1, "first_s": 1.0, "changed_s": 2.0, "detail": {"request": {"method": "GET", "url": "http://x"}},
    }  # fmt: skip


def story(state):
    attempt = {
        "job": "", "seq": 1, "subscription_id": "send-1", "attempt": 1, "result": state, "code": "404", "status": 404, "duration_ms": 2.0, "at_s": 3.0,
        "version": 1,
    }  # fmt: skip
    destination = {
        "slug": "orders", "type": "webhook", "state": state, "code": "404", "attempts": [attempt], "rows": [], "stages": [], "planned": [],
        "why": "Given up.", "advice": "Look.",
    }  # fmt: skip
    sent_from = {"ip": "", "library": "", "user_agent": ""}
    return {
        "message_id": "m1", "seq": 1, "source": {"slug": "web"}, "type": "track", "name": "E", "destinations": [destination], "stages": [],
        "user_id": "u1", "anonymous_id": "", "received_ms": 1000, "verdict": "accepted", "code": "", "why": "", "sent_from": sent_from,
    }  # fmt: skip


@pytest.fixture
async def console():
    console = Console()
    runner = web.AppRunner(console.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    console.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield console
    await runner.cleanup()


@pytest.fixture
def relay(console, tmp_path, monkeypatch, capsys):
    """Runs a command against the server; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELAY_URL", console.url)
    monkeypatch.setenv("RELAY_TOKEN", TOKEN)
    monkeypatch.delenv("RELAY_DATA", raising=False)

    async def run(*words):
        async with asyncio.timeout(30):
            code = await asyncio.to_thread(main, list(words))
        return code, *capsys.readouterr()

    return run


async def test_health_follows_readyz(relay, console):
    assert (await relay("health"))[0] == 0
    console.ready = 503
    code, out, _ = await relay("health", "--json")
    assert (code, json.loads(out)) == (1, {"ready": False, "failed": ["store"]})


async def test_hold_and_resume_tell_the_server(relay, console):
    assert (await relay("hold", "orders"))[0] == 0
    code, out, _ = await relay("resume", "orders", "--json")
    assert (code, json.loads(out)) == (0, {"destination": "orders", "held": False})
    assert [path for _, path, _ in console.asked] == ["/ui/api/destinations/orders/hold", "/ui/api/destinations/orders/resume"]


async def test_an_unknown_destination_matches_nothing(relay, console):
    code, out, err = await relay("hold", "no/such")
    assert (code, out) == (4, "")
    assert "There is no such thing." in err
    assert console.asked[0][1] == "/ui/api/destinations/no%2Fsuch/hold"


async def test_the_token_is_taken_from_the_data_folder_when_none_is_given(relay, monkeypatch, tmp_path):
    monkeypatch.delenv("RELAY_TOKEN")
    code, _, err = await relay("token", "ls")
    assert code == 77
    assert "--token-file" in err
    (tmp_path / "relay-data").mkdir()
    (tmp_path / "relay-data" / "cli.token").write_text(TOKEN)
    assert (await relay("token", "ls"))[0] == 0
    (tmp_path / "relay-data").rename(tmp_path / "elsewhere")
    assert (await relay("token", "ls", "--data", "elsewhere"))[0] == 0


async def test_a_wrong_token_is_refused_without_being_printed(relay):
    code, out, err = await relay("token", "ls", "--token", "wrong-token")
    assert code == 77
    assert "wrong-token" not in out + err


async def test_what_is_no_relay_is_not_reachable(relay, console, monkeypatch):
    async def other(request):
        return web.Response(text="hello")

    console.answer = other
    runner = web.AppRunner(console.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    code, _, err = await relay("token", "ls", "--url", f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()
    assert code == 69
    assert "is no relay" in err


async def test_tokens_are_made_listed_and_revoked(relay, console):
    code, out, _ = await relay("token", "new", "--name", "ci", "--role", "viewer", "--expires", "90d")
    assert (code, out) == (0, "fresh-token\n")
    assert console.asked[-1][2]["expires_in_s"] == 90 * 86_400
    code, out, _ = await relay("token", "ls")
    assert re.search(r"t1\s+ci\s+viewer", out)
    code, _, err = await relay("token", "revoke", "t1")
    assert code == 2
    assert "--yes" in err
    assert (await relay("token", "revoke", "t1", "--yes"))[0] == 0


async def test_dead_letters_are_listed_and_shown(relay, console):
    code, out, _ = await relay("dead", "ls", "--to", "orders", "--code", "404", "--since", "1970-01-01T00:00:01Z", "m1", "m2")
    assert code == 0
    assert len(out.splitlines()) == 3
    assert console.asked[-1][1] == "/ui/api/dead?to=orders&code=404&since_s=1.0&message_id=m1&message_id=m2&limit=100"
    code, out, _ = await relay("dead", "show", "m1")
    assert "m1 to orders" in out
    assert "> GET http://x" in out
    console.dead = 0
    code, out, _ = await relay("dead", "ls", "--json")
    assert (code, json.loads(out)) == (4, {"dead": [], "total": 0})


async def test_a_filter_goes_to_the_server_and_an_empty_one_is_wrong_usage(relay, console):
    text = 'event = "E"'
    for words in (("dead", "ls"), ("dead", "show")):
        assert (await relay(*words, "--filter", text))[0] == 0
        assert "&filter=" in console.asked[-1][1].replace("?", "&")
    for words in (("dead", "resend"), ("dead", "discard"), ("replay", "--to", "orders", "--since", "24h")):
        assert (await relay(*words, "--filter", text, "--yes"))[0] == 0
        assert [body["filter"] for _, _, body in console.asked[-2:]] == [text, text]
    asked = len(console.asked)
    for words in (("dead", "ls"), ("dead", "discard", "--to", "orders", "--yes"), ("replay", "--to", "orders", "--since", "24h")):
        assert (await relay(*words, "--filter", " "))[0] == 2
    assert len(console.asked) == asked


async def test_resend_counts_first_and_asks_for_the_flag_without_a_terminal(relay, console):
    code, _, err = await relay("dead", "resend", "--to", "orders")
    assert code == 2
    assert "Re-send 2 dead letters?" in err
    assert [body["dry_run"] for _, _, body in console.asked] == [True]
    code, out, _ = await relay("dead", "resend", "--to", "orders", "--yes", "--json")
    assert (code, json.loads(out)) == (0, {"count": 2, "dry_run": False})
    assert console.asked[-1] == ("POST", "/ui/api/dead/resend", {"to": "orders", "dry_run": False})


async def test_discard_that_matches_nothing_says_so(relay, console):
    console.dead = 0
    code, _, err = await relay("dead", "discard", "--to", "orders", "--yes")
    assert code == 4
    assert "No dead letter matches." in err
    assert len(console.asked) == 1


async def test_a_dry_run_changes_nothing(relay, console):
    assert (await relay("dead", "resend", "--to", "orders", "--dry-run"))[0] == 0
    assert (await relay("replay", "--to", "orders", "--since", "24h", "--dry-run"))[0] == 0
    assert all(body["dry_run"] for _, _, body in console.asked)


@pytest.mark.parametrize(("end", "code"), [("delivered", 0), ("dead", 5)])
async def test_a_replay_is_followed_to_its_end(relay, console, end, code):
    console.end = end
    done, out, _ = await relay("replay", "--to", "orders", "--since", "24h", "--rate", "10", "--yes", "--wait", "--json")
    assert done == code
    assert json.loads(out)["finished"] is True
    assert console.asked[1][2]["rate"] == 10


async def test_a_replay_prints_its_job_and_can_be_looked_at(relay, console):
    code, out, _ = await relay("replay", "--to", "orders", "--since", "24h", "--yes")
    assert (code, out) == (0, "orders#1\n")
    code, out, _ = await relay("replay", "--job", "orders#1", "--wait")
    assert "5 of 5" in out
    code, out, _ = await relay("replay", "--jobs")
    assert [line.split()[0] for line in out.splitlines()] == ["JOB", "orders#1"]
    assert (await relay("replay", "--job", "orders#9"))[0] == 4
    assert (await relay("replay", "--to", "orders"))[0] == 2


async def test_send_asks_for_key_and_address_and_prints_the_message_ids(relay, console):
    code, out, _ = await relay("send", "track", "--event", "E", "--user", "u", "--count", "150")
    assert code == 0
    assert [len(batch) for batch in console.batches] == [100, 50]
    ids = [message["messageId"] for batch in console.batches for message in batch]
    assert out.split() == ids
    assert len(set(ids)) == 150


async def test_send_with_a_wrong_write_key_is_not_allowed(relay, console):
    code, _, err = await relay("send", "track", "--event", "E", "--write-key", "wrong")
    assert code == 77
    assert "write key" in err


async def test_send_to_an_unknown_source_matches_nothing(relay):
    code, _, err = await relay("send", "track", "--event", "E", "--source", "nobody")
    assert code == 4
    assert "web" in err


@pytest.mark.parametrize(("end", "code"), [("delivered", 0), ("dead", 5), ("filtered", 0)])
async def test_send_waits_for_the_end_of_every_delivery(relay, console, end, code):
    console.end = end
    done, out, _ = await relay("send", "track", "--event", "E", "--user", "u", "--wait")
    assert done == code
    assert f" orders: {end}" in out
    assert "attempt 1" in out


async def test_send_gives_up_waiting_after_its_timeout(relay, console):
    console.end = "retry"
    code, out, err = await relay("send", "track", "--event", "E", "--user", "u", "--wait", "--timeout", "1s", "--json")
    assert code == 1
    assert json.loads(out)["events"][0]["destinations"][0]["state"] == "retry"
    assert "relay goes on" in err


async def test_doctor_includes_the_running_relay(relay, console):
    _, out, _ = await relay("doctor", "--json")
    findings = json.loads(out)["findings"]
    assert {"state": "ok", "name": "relay", "detail": f"ready at {console.url}", "remedy": ""} in findings
    assert not [one for one in findings if one["name"] == "port"]


async def test_why_prints_the_way_of_an_event(relay, console):
    console.polls, console.end = 9, "dead"
    done, out, _ = await relay("why", "m1")
    assert (done, " orders: dead" in out, "why: Given up." in out) == (0, True, True)
    done, out, _ = await relay("why", "m1", "--source", "web", "--json")
    assert json.loads(out)["events"][0]["destinations"][0]["state"] == "dead"
    assert console.asked[-1][1] == "/ui/api/events?message_id=m1&source=web"


async def test_why_of_an_unknown_event_matches_nothing(relay, console):
    done, out, _ = await relay("why", "never")
    assert (done, out) == (4, "")
