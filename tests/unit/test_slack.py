"""Slack: captured messages of the reference, the layout of relay's alerts, and hostile texts that stay texts."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from relay.base.secret import MASK, Secret
from relay.destinations import slack
from relay.destinations.slack import DEFINITION
from relay.destinations.slack.post import FIELD_CHARS, SECTION_CHARS
from relay.errors import Misconfigured, PayloadError
from relay.kit.request import Request
from relay.kit.shown import masked_url
from tests.support.captured import requests_of

# slack-d02 as captured prints [object Object]; relay prints an object in a template as JSON (test_mapping), and cases.json holds that.
CASES = json.loads((Path(slack.__file__).parent / "cases.json").read_text())
HOOK = {"url": Secret("https://hooks.slack.com/services/T0/B0/KEY")}


def without(value: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if f"/deliveries/0/requests/0/json/{key}" not in paths}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_message_is_what_the_reference_sends(case: dict[str, Any]) -> None:
    asked = requests_of(case, DEFINITION)
    assert isinstance(asked, list)
    (request,), (expected,) = asked, case["expect"]["deliveries"][0]["requests"]
    parts = urlsplit(request.url)
    assert (request.method, parts.hostname, parts.path) == (expected["method"], expected["host"], expected["path"])
    assert dict(request.headers)["content-type"] == expected["headers"]["content-type"]
    assert without(json.loads(request.body), case["brand_paths"]) == without(expected["json"], case["brand_paths"])


def alert(name: str = "Alert Fired", settings: dict[str, Any] | None = None, **properties: Any) -> Request:
    given = {
        "rule": "held", "kind": "held", "state": "firing", "subject": {"kind": "destination", "slug": "orders"},
        "text": "orders is held by relay (status 401); 12 events wait.", "cause": "401 or 403: a key is wrong (credentials)",
        "cure": "Put a valid key into the settings and reload.", "opened_at": "2026-11-25T09:31:00.000Z", "lasted_s": None,
        "sample": {"code": "credentials", "status": 401, "answer": "bad key"}, "url": "http://127.0.0.1:8001/ui/alerts",
        "change": {"version": 7, "at_s": 1.0, "by": "ann", "changed": ["destination orders"]},
    } | properties  # fmt: skip
    message = {"type": "track", "messageId": "m", "userId": "relay", "event": name, "properties": given}
    case = {"settings": HOOK if settings is None else settings, "now": "2026-01-15T12:00:00.000Z", "subscriptions": "presets", "event": message}
    asked = requests_of(case, DEFINITION)
    assert isinstance(asked, list)
    (request,) = asked
    return request


def test_an_alert_says_what_since_when_why_and_what_to_do() -> None:
    body = json.loads(alert().body)
    assert body["text"] == ":red_circle: *orders: held (firing)*\norders is held by relay (status 401); 12 events wait."
    (attachment,) = body["attachments"]
    text = json.dumps(attachment["blocks"])
    for part in ("Put a valid key", "2026-11-25 09:31 UTC", "a key is wrong", "401 bad key", "workspace version 7 by ann: destination orders"):
        assert part in text
    assert {"type": "mrkdwn", "text": "<http://127.0.0.1:8001/ui/alerts|Open alerts>"} in attachment["blocks"][-1]["elements"]


def test_a_resolved_alert_is_green_and_short() -> None:
    body = json.loads(alert("Alert Resolved", state="resolved", lasted_s=754).body)
    assert body["text"].startswith(":large_green_circle: *orders: held (resolved)*")
    text = json.dumps(body["attachments"])
    assert "12 minutes" in text
    assert "What to do" not in text
    assert "bad key" not in text


@pytest.mark.parametrize(
    "hostile", ["<!channel> & <https://evil.example|click>", "```\n*bold*", "x" * 40_000, "\u202eabc\x00", "<script>alert(1)</script>"]
)
def test_hostile_texts_stay_texts_within_slacks_limits(hostile: str) -> None:
    request = alert(
        text=hostile, cure=hostile, cause=hostile, rule=hostile, sample={"code": "", "status": 500, "answer": hostile}, url=hostile,
        subject={"kind": "destination", "slug": hostile}, change={"version": 1, "by": hostile, "changed": [hostile]},
    )  # fmt: skip
    body = json.loads(request.body)
    texts = [body["text"]]
    for block in body["attachments"][0]["blocks"]:
        texts += [block["text"]["text"]] if "text" in block else []
        texts += [field["text"] for field in block.get("fields", [])]
    assert all(len(text) <= SECTION_CHARS for text in texts)
    assert all(len(field["text"]) <= FIELD_CHARS for block in body["attachments"][0]["blocks"] for field in block.get("fields", []))
    assert not any("<" in text for text in texts)
    assert all(text.count("```") in (0, 2) for text in texts if text.startswith("*Answer*"))


@pytest.mark.parametrize("properties", [{"subject": None}, {"sample": "x", "change": [1], "cause": 5, "opened_at": None}, {"text": {}}])
def test_an_alert_of_another_shape_is_still_sent(properties: dict[str, Any]) -> None:
    assert json.loads(alert(**properties).body)["text"]


def test_the_address_is_the_secret() -> None:
    assert masked_url(alert()) == f"https://hooks.slack.com/{MASK}"


def test_a_mapped_address_must_be_slacks_and_a_setting_need_not() -> None:
    case = CASES[0] | {"settings": {}}
    case = case | {"subscriptions": [case["subscriptions"][0] | {"overrides": {"url": "https://evil.example/x", "text": "a"}}]}
    with pytest.raises(PayloadError):
        requests_of(case, DEFINITION)
    assert alert(settings={"url": Secret("https://chat.example.com/hooks/x")}).url == "https://chat.example.com/hooks/x"
    with pytest.raises(Misconfigured):
        alert(settings={})


def test_settings_are_checked() -> None:
    assert DEFINITION.check is not None
    assert not DEFINITION.check(HOOK)
    assert DEFINITION.check({"url": Secret("hooks.slack.com/x")})
    assert not DEFINITION.check({})
