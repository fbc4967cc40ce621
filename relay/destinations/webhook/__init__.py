"""Webhook: each event as JSON to a URL, signed as Segment signs and, if wanted, by Standard Webhooks."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.base.event import TYPES
from relay.destinations.webhook.send import METHODS, send, send_batch, signing_secrets
from relay.errors import ConfigError, Problem
from relay.kit.definition import Action, Definition, Field, Preset, Setting
from relay.kit.signature import signing_key
from relay.kit.url import url_problem

ALL_TYPES = " or ".join(f'type = "{kind}"' for kind in TYPES)


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    problems = []
    wrong = url_problem(settings["url"]) if settings.get("url") else ""
    if wrong:
        problems.append(Problem(f"url: {wrong}", None, "write it as https://host/path"))
    for secret in signing_secrets(settings):
        try:
            signing_key(secret)
        except ConfigError as error:
            problems.append(Problem(f"signingSecret: {error.message}", None, "make one with: echo whsec_$(openssl rand -base64 32)"))
    return problems


DEFINITION = Definition(
    slug="webhook",
    name="Webhook",
    description="Sends each event as JSON to a URL.",
    settings=(
        Setting("url", "URL", help="Where events go, unless a mapping gives its own url."),
        Setting("sharedSecret", "Shared secret", secret=True, help="Signs as Segment does: X-Signature, the HMAC-SHA1 of the JSON in hex."),
        Setting(
            "signingSecret", "Signing secret", type="list", secret=True,
            help="Signs by Standard Webhooks: whsec_ and base64 of 24 to 64 random bytes; two during a key rotation.",
        ),
    ),
    actions={
        "send": Action(
            slug="send",
            title="Send",
            description="One request per event, or per batch.",
            fields=(
                Field("url", "URL", format="uri", help="Left out: the destination's setting url."),
                Field("method", "Method", required=True, choices=METHODS, default="POST"),
                Field("headers", "Headers", type="object", help="Sent with each request; values are texts."),
                Field("data", "Data", type="object", default={"@path": "$."}, help="What is sent; the whole event by default."),
                Field("enable_batching", "Batch events", type="boolean", help="Sends a JSON array of events."),
                Field("batch_size", "Batch size", type="integer", help="Most events in one request."),
                Field("batch_keys", "Batch keys", multiple=True, help="Fields that are equal within a batch: url, method, headers by default."),
            ),
            default_trigger=ALL_TYPES,
            perform=send,
            perform_batch=send_batch,
            batch_size=1000,
            batch_keys=("url", "method", "headers"),
        )
    },
    presets=(Preset("All events", "send", ALL_TYPES),),
    check=check,
)  # fmt: skip
