"""Discord: messages through a webhook of a channel; relay's own alerts in a layout of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.discord.post import post_alert, post_message, read_answer
from relay.errors import Problem
from relay.kit.chat_webhook import ALERTS, SECRETS, address_field, check_address, post_alert_action
from relay.kit.definition import Action, Definition, Field, Setting
from relay.kit.request import Request

THREAD = Field("thread_id", "Thread", help="The id of a thread of the channel to post in.")
URL = address_field("The webhook's address, https://discord.com/api/webhooks/...")


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    return check_address(settings, "copy the webhook's address from Discord")


def test(settings: Mapping[str, Any]) -> Request | None:
    """Reads the webhook's own description."""
    url = settings.get("url")
    return Request("GET", url.reveal(), secrets=SECRETS) if url else None


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
                URL,
                Field("content", "Message", type="text", help="At most 2,000 characters; a longer text is cut."),
                Field("username", "User name", default="relay", help="Shown as the sender."),
                Field("avatar_url", "Avatar URL", format="uri", help="Shown beside the message."),
                Field("embeds", "Embeds", type="object", multiple=True, help="Up to ten, as Discord describes them."),
                THREAD,
                Field("thread_name", "New thread", help="For a forum channel: the title of the post to make."),
                Field("tts", "Read aloud", type="boolean"),
                Field("allowed_mentions", "Mentions", type="object", help="Whom the text may ring, as Discord describes it; nobody when left out."),
            ),
            default_trigger='type = "track"',
            perform=post_message,
            read_answer=read_answer,
        ),
        "postAlert": post_alert_action(post_alert, read_answer, URL, THREAD),
    },
    presets=(ALERTS,),
    check=check,
    test=test,
)
