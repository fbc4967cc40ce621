"""Slack: messages through an incoming webhook; relay's own alerts in a layout of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.slack.post import post_alert, post_to_channel, read_answer
from relay.errors import Problem
from relay.kit.alert_card import TRIGGER
from relay.kit.definition import Action, Definition, Field, Preset, Setting
from relay.kit.url import url_problem

ICON = "https://slack.com/img/icons/app-57.png"
URL_HELP = "The webhook's address, https://hooks.slack.com/services/...; left out: the destination's setting url."


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    url = settings.get("url")
    wrong = url_problem(url.reveal()) if url else ""
    return [Problem(f"url: {wrong}", None, "copy the webhook's address from Slack")] if wrong else []


DEFINITION = Definition(
    slug="slack",
    name="Slack",
    description="Posts messages to a channel through an incoming webhook.",
    settings=(
        Setting(
            "url", "Webhook URL", secret=True,
            help="The address of an incoming webhook. Servers that speak the same (Mattermost, Rocket.Chat) work as well.",
        ),
    ),
    actions={
        "postToChannel": Action(
            slug="postToChannel",
            title="Post message",
            description="Posts a text.",
            fields=(
                Field("url", "Webhook URL", format="uri", help=URL_HELP),
                Field("text", "Message", type="text", required=True, help="The text, in Slack's markup."),
                Field("channel", "Channel", help="Another channel than the webhook's own, where the webhook may choose."),
                Field("username", "User name", default="relay", help="Shown as the sender, where the webhook may choose."),
                Field("icon_url", "Icon URL", default=ICON, help="Shown beside the message, where the webhook may choose."),
            ),
            default_trigger='type = "track"',
            perform=post_to_channel,
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
                Field("channel", "Channel", help="Another channel than the webhook's own, where the webhook may choose."),
            ),
            default_trigger=TRIGGER,
            perform=post_alert,
            read_answer=read_answer,
        ),
    },
    presets=(Preset("Alerts of relay", "postAlert", TRIGGER),),
    check=check,
)  # fmt: skip
