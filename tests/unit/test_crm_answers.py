"""What the answers of HubSpot, Intercom, SendGrid, Twilio, Discord, Teams and Slack mean beyond their status."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.base.event import Event
from relay.cli import trial
from relay.cli.trial import Script, run_case
from relay.delivery.attempt import attempt
from relay.destinations import load_catalog
from relay.errors import DeliveryError, Retryable
from relay.kit.definition import Delivery
from relay.kit.request import Response

CATALOG = load_catalog()
ROOT = Path(__file__).resolve().parents[2] / "relay/destinations"
NOW_S = 1_768_478_400.0


def case_of(name: str) -> dict[str, Any]:
    slug = name.partition("-")[0]
    return next(case for case in json.loads((ROOT / slug / "cases.json").read_text()) if case["id"] == name)


async def told(name: str, *answers: dict[str, Any]) -> list[tuple[str, str]]:
    """Result and code of each event of a case, with these answers in place of its own."""
    result = await run_case(case_of(name) | {"answers": list(answers)}, CATALOG)
    return [(one["result"], one["code"]) for delivery in result["deliveries"] for one in delivery["results"]]


def answer(status: int, body: Any = None, **headers: str) -> dict[str, Any]:
    return {"status": status, "body": {} if body is None else body, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}


FOUND = answer(
    200,
    {
        "results": [
            {"id": "51", "properties": {"email": "ann@example.com"}},
            {"id": "52", "properties": {"email": "bob@example.com"}},
            {"id": "53", "properties": {"email": "cy@example.com"}},
        ]
    },
)
PART = answer(207, {"status": "COMPLETE", "results": [], "errors": [{"category": "VALIDATION_ERROR", "message": "bad"}]})
SLOW = answer(207, {"errors": [{"category": "RATE_LIMITS", "message": "slow down"}]})


@pytest.mark.parametrize(
    ("name", "answers", "expected"),
    [
        ("hubspot-contact-created", [answer(429)], ("retry", "429")),
        ("hubspot-contact-created", [answer(404), answer(409)], ("dead", "409")),
        ("hubspot-contact-created", [answer(401)], ("hold", "credentials")),
        ("hubspot-contact-stage-set-back", [answer(200, {"id": "51"}), answer(500)], ("retry", "500")),
        ("hubspot-contacts-in-a-batch", [FOUND, PART], ("split", "BAD_REQUEST")),
        ("hubspot-contacts-in-a-batch", [FOUND, SLOW], ("retry", "RETRY")),
        ("hubspot-contacts-in-a-batch", [answer(200, {"results": []})], ("retry", "RETRY")),
        ("hubspot-contacts-in-a-batch", [answer(500)], ("retry", "500")),
        ("hubspot-company-created", [answer(404), answer(400, "not json")], ("dead", "400")),
        ("hubspot-company-not-created", [answer(404)], ("delivered", "delivered")),
        ("hubspot-company-not-created", [answer(500)], ("retry", "500")),
        ("hubspot-company-tied-to-contact", [answer(404)], ("dead", "BAD_REQUEST")),
        ("hubspot-company-tied-to-contact", [answer(200, {"id": "51"}), answer(200, {"id": "9"}), answer(404)], ("dead", "BAD_REQUEST")),
        ("hubspot-custom-event-made", [answer(404), answer(409, {"message": "already exists"})], ("retry", "RETRY")),
        ("hubspot-custom-event-made", [answer(403)], ("hold", "credentials")),
        ("intercom-contact-updated", [answer(500)], ("retry", "500")),
        ("intercom-contact-updated", [answer(429, x_ratelimit_reset="1768478430")], ("retry", "429")),
        ("intercom-event-of-nobody", [answer(200, {"total_count": 2, "data": []})], ("dead", "BAD_REQUEST")),
        ("sendgrid-contact-custom-fields", [answer(403)], ("hold", "credentials")),
        ("sendgrid-contacts-in-a-batch", [answer(200, {"custom_fields": []}), answer(400)], ("split", "400")),
        ("sendgrid-contacts-in-a-batch", [answer(429, x_ratelimit_reset="1768478430")], ("retry", "429")),
        ("twilio-picture", [answer(400, {"code": 21211})], ("dead", "400")),
        ("twilio-picture", [answer(400, {"code": 20429})], ("retry", "429")),
        ("twilio-picture", [answer(429)], ("retry", "429")),
        ("twilio-picture", [answer(503)], ("retry", "503")),
        ("twilio-picture", [answer(500)], ("dead", "unsure")),
        ("twilio-picture", [answer(401, {"code": 20003})], ("hold", "credentials")),
        ("discord-message", [answer(404)], ("hold", "gone")),
        ("discord-message", [answer(429, {"retry_after": 0.65})], ("retry", "429")),
        ("discord-message", [answer(400, {"code": 50006})], ("dead", "400")),
        ("teams-message", [answer(200, "1")], ("delivered", "delivered")),
        ("teams-message", [answer(202, "")], ("delivered", "delivered")),
        ("teams-message", [answer(200, "Microsoft Teams endpoint returned HTTP error 404 with ContextId x")], ("hold", "gone")),
        ("teams-message", [answer(200, "Webhook message delivery failed with error: HTTP error 413")], ("dead", "413")),
        ("teams-message", [answer(200, "Summary or Text is required: error")], ("dead", "BAD_REQUEST")),
        ("teams-message", [answer(404)], ("hold", "gone")),
        ("slack-d01", [answer(404, "no_service")], ("hold", "gone")),
        ("slack-d01", [answer(404, "channel_not_found")], ("dead", "404")),
    ],
)  # fmt: skip
async def test_an_answer_and_what_follows(name: str, answers: list[dict[str, Any]], expected: tuple[str, str]) -> None:
    assert set(await told(name, *answers)) == {expected}


@pytest.mark.parametrize(
    ("slug", "action", "response", "wait_s"),
    [
        ("discord", "postMessage", Response(429, {}, b'{"retry_after": 0.65}'), 0.65),
        ("discord", "postMessage", Response(429, {"x-ratelimit-reset-after": "1.5"}, b"busy"), 1.5),
        ("intercom", "trackEvent", Response(429, {"x-ratelimit-reset": f"{NOW_S + 7:.0f}"}), 7.0),
        ("sendgrid", "updateUserProfile", Response(429, {"x-ratelimit-reset": f"{NOW_S + 30:.0f}"}), 30.0),
        ("sendgrid", "updateUserProfile", Response(429, {"x-ratelimit-reset": f"{NOW_S - 30:.0f}"}), 1.0),
    ],
)
def test_how_long_an_answer_asks_to_wait(slug: str, action: str, response: Response, wait_s: float) -> None:
    read = CATALOG[slug].actions[action].read_answer
    assert read is not None
    errors = read([Delivery({}, Event("m", "s", "track", "", "", "", 0, {}, b""), NOW_S)], response)
    assert errors is not None
    (error,) = errors
    assert isinstance(error, Retryable)
    assert error.retry_after_s == pytest.approx(wait_s)


class Broken(Script):
    """A transport that fails after the request has left."""

    def __init__(self, error: DeliveryError) -> None:
        super().__init__(())
        self._error = error

    async def send(self, request: Any) -> Response:
        raise self._error


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ETIMEDOUT", "unsure"), ("ECONNRESET", "unsure"), ("EPROTO", "unsure"), ("ECONNREFUSED", "ECONNREFUSED"), ("ENOTFOUND", "ENOTFOUND")],
)
async def test_a_text_message_that_may_have_been_sent_is_not_sent_again(code: str, expected: str) -> None:
    case = case_of("twilio-picture")
    definition = CATALOG["twilio"]
    wanted = trial._wanted(case, definition)
    compiled = trial._compile(case, definition, [one.subscription for one in wanted], CATALOG)
    units, _ = trial._decide(case, compiled)
    (answered,) = await attempt(units, compiled, Broken(Retryable("gone", code=code)), now_s=NOW_S)
    assert isinstance(answered.result, DeliveryError)
    assert answered.result.code == expected
