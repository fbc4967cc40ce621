"""Logging in by browser: links work once, sessions end when they must, and what the cookie says never shows."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from relay.access.operator import Operator, Role
from relay.access.sessions import SESSIONS_MAX, Sessions
from relay.access.store import TokenStore
from relay.app import Seams
from relay.base.secret import Secret
from relay.database.database import Database
from tests.support.app import FastClock, Running, running, source
from tests.support.inline_sqlite import InlineThread


class Browser:
    """Keeps its cookie and sends what our own page sends."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._http = http
        self.cookie = ""
        self.attributes: dict[str, Any] = {}
        self.csrf = ""

    async def ask(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> dict[str, Any]:
        given = {"Origin": self.url, "X-Relay-CSRF": self.csrf, "Cookie": f"relay_session={self.cookie}"} | headers
        async with self._http.request(method, f"{self.url}/ui/api/{path}", json=body, headers=given) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == status, told
            if (set_cookie := answer.cookies.get("relay_session")) is not None:
                self.cookie, self.attributes = set_cookie.value, dict(set_cookie)
            return told

    async def login(self, status: int = 200, headers: dict[str, str] | None = None, **given: str) -> dict[str, Any]:
        told = await self.ask("POST", "login", given, status=status, **(headers or {}))
        self.csrf = told.get("csrf", self.csrf)
        return told

    async def session(self, status: int = 200) -> dict[str, Any]:
        return await self.ask("GET", "session", status=status)


@dataclass
class Site:
    """A running relay and what asks it."""

    relay: Running
    clock: FastClock
    http: aiohttp.ClientSession

    def browser(self) -> Browser:
        return Browser(self.relay.app.ui_url, self.http)

    def code(self) -> str:
        return self.relay.app.login_link().rpartition("#")[2]

    async def cli(self, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.relay.app.cli_token}"}
        async with self.http.request(method, f"{self.relay.app.ui_url}/ui/api/{path}", json=body, headers=headers) as answer:
            assert answer.status == status
            return dict(await answer.json())

    async def token(self, role: str, **more: Any) -> dict[str, Any]:
        return await self.cli("POST", "tokens", {"name": f"a {role}", "role": role} | more, 201)

    async def audited(self) -> list[tuple[str, str, str]]:
        rows = await TokenStore(self.relay.app.database, self.clock).audited()
        return [(row.operator, row.action, row.subject) for _, row in reversed(rows) if row.action != "workspace.saved"]


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    clock = FastClock()
    settings = ("ui.token=ui-canary", "ui.session_hours=2")
    async with running(source(), tmp_path, seams=Seams(clock=clock), settings=settings) as relay, client() as http:
        yield Site(relay, clock, http)


async def test_a_link_logs_one_browser_in_once(site: Site) -> None:
    code, first, second = site.code(), site.browser(), site.browser()
    told = await first.login(link=code)
    assert told == await first.session() | {"now_s": told["now_s"]}
    assert (told["name"], told["role"], told["theme_hint"]) == ("cli", "admin", None)
    assert told["expires_s"] == pytest.approx(site.clock.now() + 7200, abs=5)
    assert (await second.login(401, link=code))["error"]["code"] == "bad_link"
    await second.session(401)
    assert first.attributes["httponly"]
    assert (first.attributes["samesite"], first.attributes["path"], first.attributes["secure"]) == ("Strict", "/", "")


async def test_a_link_is_good_for_ten_minutes(site: Site) -> None:
    late, code = site.browser(), site.code()
    site.clock.advance(601)
    await late.login(401, link=code)


async def test_the_welcome_shows_a_link_to_a_person_and_where_no_token_is_set(site: Site, tmp_path: Path) -> None:
    assert "/ui/login#" not in site.relay.app.welcome(to_person=False)
    told = site.relay.app.welcome(to_person=True)
    assert told.startswith("relay ready: events ")
    (line,) = [line for line in told.splitlines() if "/ui/login#" in line]
    await site.browser().login(link=line.rpartition("#")[2])
    other = tmp_path / "other"
    other.mkdir()
    async with running("", other) as relay:
        assert f"{relay.app.ui_url}/ui/login#" in relay.app.welcome(to_person=False)


async def test_the_command_prints_a_link_that_works(site: Site, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "relay", "login", "--url", site.relay.app.ui_url, "--data", str(tmp_path / "data")]
    for more in ((), ("--json",)):
        process = await asyncio.create_subprocess_exec(*command, *more, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await process.communicate()
        assert process.returncode == 0, err
        link = str(json.loads(out)["link"] if more else out.decode().strip())
        assert link.startswith(f"{site.relay.app.ui_url}/ui/login#")
        assert (await site.browser().login(link=link.rpartition("#")[2]))["role"] == "admin"


async def test_a_link_gives_the_rights_of_who_asked_and_ends_with_the_token(site: Site) -> None:
    viewer = await site.token("viewer")
    browser, guest, late = site.browser(), site.browser(), site.browser()
    await browser.login(token=viewer["token"])
    codes = [(await browser.ask("POST", "links", {}, status=201))["code"] for _ in range(2)]
    assert (await guest.login(link=codes[0]))["role"] == "viewer"
    await site.cli("DELETE", f"tokens/{viewer['id']}")
    await browser.session(401)
    await guest.session(401)
    await late.login(401, link=codes[1])


@pytest.mark.parametrize("role", list(Role))
async def test_a_session_has_its_tokens_role(site: Site, role: Role) -> None:
    browser, token = site.browser(), await site.token(role)
    told = await browser.login(token=token["token"])
    assert (told["name"], told["role"]) == (f"a {role}", role)
    await browser.ask("GET", "tokens", status=200 if role is Role.ADMIN else 403)


async def test_the_ui_token_and_the_machines_own_log_in_as_well(site: Site) -> None:
    for token, name in (("ui-canary", "ui"), (site.relay.app.cli_token, "cli")):
        browser = site.browser()
        assert (await browser.login(token=token))["name"] == name
        assert (await browser.session())["role"] == "admin"


async def test_a_session_slides_with_use_and_ends_without(site: Site) -> None:
    browser, idle = site.browser(), site.browser()
    await browser.login(link=site.code())
    await idle.login(link=site.code())
    for _ in range(3):
        site.clock.advance(3600)
        assert (await browser.session())["expires_s"] == pytest.approx(site.clock.now() + 7200, abs=5)
    await idle.session(401)
    site.clock.advance(7201)
    await browser.session(401)


async def test_a_session_ends_when_its_token_expires(site: Site) -> None:
    browser = site.browser()
    await browser.login(token=(await site.token("operator", expires_in_s=60))["token"])
    site.clock.advance(61)
    await browser.session(401)


async def test_logout_ends_this_session_or_all_of_the_token(site: Site) -> None:
    one, two, three, other = (site.browser() for _ in range(4))
    for browser in (one, two, three):
        await browser.login(link=site.code())
    await other.login(token="ui-canary")
    spent = one.cookie
    assert await one.ask("POST", "logout", {}) == {"ended": 1}
    assert one.cookie == ""
    one.cookie = spent
    await one.session(401)
    await two.session()
    assert await two.ask("POST", "logout", {"everywhere": True}) == {"ended": 2}
    await three.session(401)
    await other.session()


async def test_a_new_login_ends_the_session_that_the_browser_had(site: Site) -> None:
    browser, before = site.browser(), site.browser()
    await browser.login(token="ui-canary")
    before.cookie = browser.cookie
    await browser.login(link=site.code())
    await before.session(401)
    assert (await browser.session())["name"] == "cli"


async def test_ten_bad_logins_a_minute_lock_the_address_but_not_who_is_in_or_has_a_link(site: Site) -> None:
    inside, outside = site.browser(), site.browser()
    await inside.login(token="ui-canary")
    for number in range(10):
        await outside.login(401, **({"token": f"bad-{number}"} if number % 2 else {"link": f"bad-{number}"}))
    for given in ({"token": "bad"}, {"link": "bad"}, {"token": "ui-canary"}):
        assert (await outside.login(429, **given))["error"]["code"] == "too_many_tries"
    await inside.session()
    await site.browser().login(link=site.code())
    await site.browser().login(token=site.relay.app.cli_token)
    site.clock.advance(61)
    await outside.login(token="ui-canary")


async def test_a_burst_of_bad_logins_gets_no_more_tries_than_a_queue(site: Site) -> None:
    async def guess(number: int) -> int:
        body = {"token": f"bad-{number}"}
        async with site.http.post(f"{site.relay.app.ui_url}/ui/api/login", json=body) as answer:
            return answer.status

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(guess(number)) for number in range(60)]
    assert sorted(task.result() for task in tasks) == [401] * 10 + [429] * 50


async def test_an_old_cookie_that_polls_is_no_bad_try(site: Site) -> None:
    old = site.browser()
    old.cookie = "x" * 43
    for _ in range(15):
        await old.session(401)
    await site.browser().login(token="ui-canary")


@pytest.mark.parametrize("body", [{}, {"token": "a", "link": "b"}, {"token": 7}, {"tokn": "a"}, [], {"token": " "}])
async def test_a_login_that_is_no_login_is_told(site: Site, body: Any) -> None:
    await site.browser().ask("POST", "login", body, status=400)


async def test_a_login_from_another_origin_is_refused_and_https_makes_the_cookie_secure(site: Site) -> None:
    browser = site.browser()
    code = site.code()
    await browser.login(403, {"Origin": "https://evil.example"}, link=code)
    await browser.login(200, {"Origin": browser.url.replace("http://", "https://")}, link=code)
    assert browser.attributes["secure"] is True


@pytest.mark.parametrize("token", ["ü", "\udcff", "a" * 5000, "a\u0000b", "🔑"])
async def test_a_strange_token_is_refused_and_no_bug(site: Site, token: str) -> None:
    given = {"token": token.encode("utf-8", "replace").decode()}
    await site.browser().login(401, **given)
    await site.browser().login(401, link=given["token"])


async def test_what_stays_open_can_ask_whether_it_may(site: Site) -> None:
    gate = site.relay.app.gate
    viewer, browser = await site.token("viewer"), site.browser()
    bearer = await gate.by_token(viewer["token"], "")
    await browser.login(token=viewer["token"])
    session = await site.relay.app.sessions.find(browser.cookie)
    own = await gate.by_token(site.relay.app.cli_token, "")
    assert session is not None
    assert [await gate.still_valid(by) for by in (bearer, session.operator, own)] == [True, True, True]
    await browser.ask("POST", "logout", {})
    assert [await gate.still_valid(by) for by in (bearer, session.operator, own)] == [True, False, True]
    await site.cli("DELETE", f"tokens/{viewer['id']}")
    assert [await gate.still_valid(by) for by in (bearer, session.operator, own)] == [False, False, True]


async def test_logins_leave_a_record_and_no_secret(site: Site, tmp_path: Path) -> None:
    viewer, browser = await site.token("viewer"), site.browser()
    await browser.login(token=viewer["token"])
    code = (await browser.ask("POST", "links", {}, status=201))["code"]
    cookie, csrf = browser.cookie, browser.csrf
    await browser.ask("POST", "logout", {})
    await browser.login(401, token=viewer["token"][:-1])
    assert await site.audited() == [
        ("cli", "token.new", viewer["id"]),
        ("a viewer", "session.login", "token"),
        ("a viewer", "session.link", ""),
        ("a viewer", "session.logout", ""),
    ]
    dump = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("relay.db*"))
    assert not [text for text in (viewer["token"], cookie, csrf, code) if text.encode() in dump]


async def test_sessions_outlive_a_restart_unless_the_ui_token_has_changed(tmp_path: Path) -> None:
    cookies = []
    for token, wanted in (("one", []), ("one", [200, 200]), ("two", [200, 401])):
        async with running(source(), tmp_path, settings=(f"ui.token={token}",)) as relay, client() as http:
            found = []
            for cookie in cookies:
                async with http.get(f"{relay.app.ui_url}/ui/api/session", headers={"Cookie": f"relay_session={cookie}"}) as answer:
                    found.append(answer.status)
            assert found == wanted
            if not cookies:
                for given in ({"link": relay.app.login_link().rpartition("#")[2]}, {"token": token}):
                    browser = Browser(relay.app.ui_url, http)
                    await browser.login(**given)
                    cookies.append(browser.cookie)


async def test_sessions_of_one_token_are_bounded_and_old_ones_are_deleted(tmp_path: Path) -> None:
    clock = FastClock()
    database = await Database.open(tmp_path / "relay.db", clock=clock, on_fatal=lambda _: None, hop=InlineThread)
    sessions = Sessions(database, clock, lasts_s=60, ui_token=Secret(""))
    cli, ui = Operator("cli", "cli", Role.ADMIN), Operator("ui", "ui", Role.ADMIN)
    _, other = await sessions.open(ui)
    texts = []
    for _ in range(SESSIONS_MAX + 2):
        clock.advance(0.01)
        texts.append((await sessions.open(cli))[1])
    assert [await sessions.find(text) is not None for text in (*texts[:3], texts[-1], other)] == [False, False, True, True, True]
    clock.advance(61)
    await sessions.open(cli)
    assert await database.read(lambda connection: connection.execute("SELECT count(*) FROM session").fetchone()) == (1,)
    await database.close()
