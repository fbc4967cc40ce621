"""Discord: messages through a webhook of a channel; relay's own alerts in a layout of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.discord.post import post_alert, post_message, read_answer
from relay.errors import Problem
from relay.kit.alert_card import TRIGGER
from relay.kit.definition import Action, Definition, Field, Preset, Setting
from relay.kit.request import Request
from relay.kit.url import url_problem

URL_HELP = "The webhook's address, https://discord.com/api/webhooks/...; left out: the destination's setting url."


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    url = settings.get("url")
    wrong = url_problem(url.reveal()) if url else ""
    return [Problem(f"url: {wrong}", None, "copy the webhook's address from Discord")] if wrong else []


def test(settings: Mapping[str, Any]) -> Request | None:
    """Reads the webhook's own description."""
    url = settings.get("url")
    return Request("GET", url.reveal(), secrets=frozenset(("url",))) if url else None


DEFINITION = Definition(
    slug="discord",
    name="Discord",
    description="Posts messages to a channel through a webhook.",
    settings=(Setting("url", "Webhook URL", secret=True, help="Channel settings, Integrations, Webhooks."),),
    actions={
        "postMessage": Action(
            slug="postMessage",
            title="Post message",
            description="Posts a text, embeds, or both.",
            fields=(
                Field("url", "Webhook URL", format="uri", help=URL_HELP),
                Field("content", "Message", type="text", help="At most 2,000 characters; a longer text is cut."),
                Field("username", "User name", default="relay", help="Shown as the sender."),
                Field("avatar_url", "Avatar URL", format="uri", help="Shown beside the message."),
                Field("embeds", "Embeds", type="object", multiple=True, help="Up to ten, as Discord describes them."),
                Field("thread_id", "Thread", help="The id of a thread of the channel to post in."),
                Field("thread_name", "New thread", help="For a forum channel: the title of the post to make."),
                Field("tts", "Read aloud", type="boolean"),
                Field("allowed_mentions", "Mentions", type="object", help="Whom the text may ring, as Discord describes it; nobody when left out."),
            ),
            default_trigger='type = "track"',
            perform=post_message,
            read_answer=read_answer,
        ),
        "postAlert": Action(
            slug="postAlert",
            title="Post an alert of relay",
            description="Posts an alert of the source relay: what is wrong, since when, a sample, and what to do.",
            fields=(
                Field("url", "Webhook URL", format="uri", help=URL_HELP),
                Field("name", "Event", required=True, default={"@path": "$.event"}),
                Field("alert", "Alert", type="object", required=True, default={"@path": "$.properties"}),
                Field("thread_id", "Thread", help="The id of a thread of the channel to post in."),
            ),
            default_trigger=TRIGGER,
            perform=post_alert,
            read_answer=read_answer,
        ),
    },
    presets=(Preset("Alerts of relay", "postAlert", TRIGGER),),
    check=check,
    test=test,
)
