"""Every HTTP destination against a real receiver on a real socket: taken, refused, not allowed, too many, broken, silent, and a batch.

What is sent is the first case of the destination's own `cases.json`; its host is replaced by the option `endpoint`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.access.operator import SIGNAL
from relay.destinations import load_catalog
from tests.support.app import Running, running, source, table
from tests.support.receiver import Behaviour, Receiver, answer, stall
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
CATALOG = load_catalog()
CASES = {path.parent.name.replace("_", "-"): json.loads(path.read_text())[0] for path in (ROOT / "relay/destinations").glob("*/cases.json")}
HTTP = sorted(slug for slug, definition in CATALOG.items() if definition.open_sink is None)
LIMIT_S = 15


def without_nulls(value: Any) -> Any:
    """TOML has no null; a field that is null is left out."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value


def configured(slug: str, case: dict[str, Any], receiver: Receiver) -> str:
    """The destination of a case, as a file has it."""
    settings = dict(case.get("settings", {}))
    if token := (case.get("oauth") or {}).get("access_token"):
        settings.setdefault("accessToken", token)
    options = {
        "slug": "it", "type": slug, "sources": ["web"], "endpoint": receiver.url, "allow_private": receiver.allow, "timeout_s": 0.5,
        "first_delay_s": 0.05, "max_delay_s": 0.2, "settings": without_nulls(settings),
    }  # fmt: skip
    return source() + table("destination", options) + "".join(mappings(slug, case))


def mappings(slug: str, case: dict[str, Any]) -> Iterator[str]:
    """Those of the case; none for its presets. One that matches is enough, so that one request comes of one event."""
    given = case.get("subscriptions", "presets")
    if given == "presets":
        return
    actions = CATALOG[slug].actions
    items = [{"action": action} for action in given["actions"]] if isinstance(given, dict) else given
    for number, item in enumerate(items):
        mapping = {} if item.get("mapping", "default") == "default" else item["mapping"]
        fields = without_nulls(mapping | item.get("overrides", {}) | case.get("overrides_all", {}))
        trigger = item.get("trigger") or actions[item["action"]].default_trigger
        yield table("destination.mapping", {"name": f"m{number}", "action": item["action"], "trigger": trigger, "fields": fields})


def good(case: dict[str, Any]) -> Behaviour:
    """How the far side answers when all is well: as the case scripts it, over and over."""
    script = [answer(one["status"], one.get("headers"), text(one.get("body", {}))) for one in case.get("answers", [])] or [answer(body=b"{}")]
    turn = 0

    async def behave(request: Any) -> Any:
        nonlocal turn
        turn += 1
        return await script[(turn - 1) % len(script)](request)

    return behave


def text(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


class Trial:
    """One destination under test: sends its event anew and waits for the end."""

    def __init__(self, relay: Running, case: dict[str, Any]) -> None:
        self._relay, self._case, self._number = relay, case, 0

    async def send(self, count: int = 1) -> list[str]:
        events = self._case.get("events") or [self._case["event"]]
        made = []
        for _ in range(count):
            self._number += 1
            made.append(dict(events[self._number % len(events)]) | {"messageId": f"wire-{self._number}"})
        assert await self._relay.send(made) == 200
        return [one["messageId"] for one in made]

    async def ends(self, message_id: str, state: str) -> dict[str, Any]:
        async def ended() -> Any:
            told = (await self._relay.app.why.by_message(message_id))[0]["destinations"]
            found = next(one for one in told if one["slug"] == "it")
            assert found["state"] == state, (found["state"], found["why"], found["attempts"])
            return found

        return await eventually(ended, LIMIT_S, every_s=0.05)


@pytest.mark.parametrize("slug", HTTP)
async def test_a_destination_on_a_real_socket(slug: str, tmp_path: Path) -> None:
    case = CASES[slug]
    async with Receiver() as receiver, running(configured(slug, case, receiver), tmp_path) as relay:
        receiver.default = good(case)
        trial = Trial(relay, case)
        await trial.ends((await trial.send())[0], "delivered")
        taken = receiver.count
        assert taken
        for trouble, code in ((answer(500), "500"), (answer(429, {"retry-after": "1"}), "429"), (stall(2.0), "ETIMEDOUT")):
            receiver.script(trouble)
            # What may have arrived is not sent again by an action that must not repeat itself.
            is_final = code != "429" and not all(action.is_repeatable for action in CATALOG[slug].actions.values())
            told = await trial.ends((await trial.send())[0], "dead" if is_final else "delivered")
            first = told["code"] if is_final else told["attempts"][0]["code"]
            assert first == ("unsure" if is_final else code), (slug, told)
        receiver.script(*[answer(400, body=b'{"error":"bad"}')] * 8)
        told = await trial.ends((await trial.send())[0], "dead")
        assert told["rows"][0]["detail"]["response"]["status"] == 400
        receiver.default = answer(401)
        receiver._script.clear()
        shut = (await trial.send())[0]
        assert (await trial.ends(shut, "held"))["code"] == "credentials"
        receiver.default = good(case)
        await relay.app.operations.resume("it", SIGNAL)
        await trial.ends(shut, "delivered")
