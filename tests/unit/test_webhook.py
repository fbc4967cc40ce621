"""The webhook: captured deliveries of the reference, both signatures, and what it refuses."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from standardwebhooks import Webhook

from relay import __version__
from relay.base.clock import SystemClock
from relay.base.secret import Secret
from relay.destinations import load_catalog, webhook
from relay.destinations.webhook import DEFINITION
from relay.errors import ConfigError, Misconfigured, PayloadError
from relay.kit.fql import compile_trigger
from relay.kit.request import Request
from relay.kit.signature import signing_key
from relay.pipeline.decision import Drop
from tests.support.captured import requests_of

CASES = json.loads((Path(webhook.__file__).parent / "cases.json").read_text())
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_KEY = "whsec_" + "QUJD" * 12


def case_of(message: dict[str, Any] | None = None, events: int = 1, **overrides: Any) -> dict[str, Any]:
    message = message or {"type": "track", "messageId": "m", "userId": "u", "event": "A"}
    given = {"action": "send", "trigger": 'type = "track"', "overrides": {"url": "https://hooks.example.com/in"} | overrides}
    messages = [message | {"messageId": f"m{index}"} for index in range(events)]
    return {"settings": {}, "now": "2026-01-15T12:00:00.000Z", "subscriptions": [given], "events": messages}


def one(case: dict[str, Any], settings: dict[str, Any] | None = None) -> Request:
    asked = requests_of(case, DEFINITION, settings)
    assert isinstance(asked, list)
    (request,) = asked
    return request


def headers_of(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_delivery_is_what_the_reference_sends(case: dict[str, Any]) -> None:
    asked = requests_of(case, DEFINITION)
    if case["expect"]["outcome"] == "filtered":
        assert isinstance(asked, Drop)
        return
    assert isinstance(asked, list)
    wanted = [request for delivery in case["expect"]["deliveries"] for request in delivery["requests"]]
    assert len(asked) == len(wanted)
    for request, expected in zip(asked, wanted, strict=True):
        parts = urlsplit(request.url)
        assert (request.method, parts.hostname, parts.path) == (expected["method"], expected["host"], expected["path"])
        assert json.loads(request.body) == expected["json"]
        headers = headers_of(request)
        assert headers.pop("user-agent") == f"relay/{__version__}"
        assert headers == expected["headers"]


def test_the_whole_event_goes_out_as_it_was_stored_with_numbers_as_javascript_prints_them() -> None:
    stored = one(case_of({"type": "track", "event": "Ä", "properties": {"a": 2}}))
    assert b'"event":"\xc3\x84"' in stored.body
    assert b'"a":2}' in one(case_of({"type": "track", "event": "A", "properties": {"a": 2.0}})).body
    assert one(case_of(data={"n": 3.0})).body == b'{"n":3}'


@pytest.mark.parametrize("events", [1, 3])
@pytest.mark.parametrize("form", [KEY, Secret(KEY), [Secret(OTHER_KEY), Secret(KEY)]], ids=["text", "secret", "list"])
def test_a_standard_webhooks_receiver_verifies_what_is_sent(form: Any, events: int) -> None:
    case = case_of(events=events, enable_batching=events > 1)
    case["now"] = datetime.fromtimestamp(SystemClock.now(), UTC).isoformat()
    request = one(case, {"signingSecret": form, "sharedSecret": Secret("s")})
    assert Webhook(KEY).verify(request.body, headers_of(request)) == json.loads(request.body)
    assert "." not in headers_of(request)["webhook-id"]


def test_the_key_of_a_delivery_is_the_same_on_every_attempt() -> None:
    later = case_of() | {"now": "2026-01-16T12:00:00.000Z"}
    first, second = one(case_of(), {"signingSecret": KEY}), one(later, {"signingSecret": KEY})
    assert headers_of(first)["webhook-id"] == headers_of(second)["webhook-id"]
    assert headers_of(first)["webhook-timestamp"] != headers_of(second)["webhook-timestamp"]


def test_the_setting_url_serves_a_mapping_without_one() -> None:
    case = case_of(url=None)
    assert one(case, {"url": "https://other.example.com/"}).url == "https://other.example.com/"
    with pytest.raises(Misconfigured):
        one(case)


@pytest.mark.parametrize(
    "overrides",
    [
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X-A": "a\0"}},
        {"headers": {"X A": "a"}},
        {"headers": {"X-A\n": "a"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"x-signature": "1"}},
        {"headers": {"X-A": {"b": 1}}},
        {"url": "ftp://example.com/"},
        {"url": "https://user:pw@example.com/"},
        {"url": "https:///path"},
    ],
)
def test_a_mapping_cannot_bend_the_request(overrides: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        one(case_of(**overrides))


def test_headers_of_a_mapping_replace_the_defaults_and_are_texts() -> None:
    headers = headers_of(one(case_of(headers={"Content-Type": "application/x", "X-N": 2.0, "X-None": None, "X-B": True})))
    assert headers == {"content-type": "application/x", "user-agent": f"relay/{__version__}", "x-n": "2", "x-b": "true"}


def test_what_looks_like_a_secret_is_masked_when_a_request_is_shown() -> None:
    request = one(case_of(url="https://h.example/in?Token=t&a=1", headers={"Authorization": "Bearer x", "X-Team": "books"}))
    assert {"token", "authorization", "x-signature", "webhook-signature"} <= request.secrets
    assert not {"a", "x-team"} & request.secrets


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        ({"url": "https://h.example/in", "signingSecret": [Secret(KEY), Secret(OTHER_KEY)]}, []),
        ({}, []),
        ({"url": "h.example/in"}, ["url"]),
        ({"url": "https://user@h.example/"}, ["url"]),
        ({"url": "https://h.example:0/"}, ["url"]),
        ({"url": "https://h.example:x/"}, ["url"]),
        ({"url": "https://h.example/a b", "signingSecret": Secret("nope-secret")}, ["url", "signingSecret"]),
        ({"signingSecret": Secret("whsec_!!!nope-secret")}, ["signingSecret"]),
        ({"signingSecret": Secret("whsec_QUJD")}, ["signingSecret"]),
    ],
)
def test_settings_are_checked_and_secrets_stay_hidden(settings: dict[str, Any], places: list[str]) -> None:
    assert DEFINITION.check is not None
    problems = DEFINITION.check(settings)
    assert [problem.message.split(":")[0] for problem in problems] == places
    assert all("nope-secret" not in problem.message for problem in problems)


@pytest.mark.parametrize(("size", "fits"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_signing_secret_holds_24_to_64_bytes(size: int, fits: bool) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * size).decode()
    if fits:
        assert signing_key(secret) == b"k" * size
    else:
        with pytest.raises(ConfigError, match=f"this one {size}"):
            signing_key(secret)


def test_the_catalogue_finds_every_folder_and_every_preset_compiles() -> None:
    catalog = load_catalog()
    assert {"webhook", "segment"} <= set(catalog)
    for slug, definition in catalog.items():
        assert definition.slug == slug
        for preset in definition.presets:
            assert preset.action in definition.actions
            compile_trigger(preset.trigger)
