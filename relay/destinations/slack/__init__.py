"""Slack: messages through an incoming webhook; relay's own alerts in a layout of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.slack.post import post_alert, post_to_channel, read_answer
from relay.errors import Problem
from relay.kit.chat_webhook import ALERTS, address_field, check_address, post_alert_action
from relay.kit.definition import Action, Definition, Field, Setting

ICON = "https://slack.com/img/icons/app-57.png"
CHANNEL = Field("channel", "Channel", help="Another channel than the webhook's own, where the webhook may choose.")
URL = address_field("The webhook's address, https://hooks.slack.com/services/...")


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    return check_address(settings, "copy the webhook's address from Slack")


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
                URL,
                Field("text", "Message", type="text", required=True, help="The text, in Slack's markup."),
                CHANNEL,
                Field("username", "User name", default="relay", help="Shown as the sender, where the webhook may choose."),
                Field("icon_url", "Icon URL", default=ICON, help="Shown beside the message, where the webhook may choose."),
            ),
            default_trigger='type = "track"',
            perform=post_to_channel,
            read_answer=read_answer,
        ),
        "postAlert": post_alert_action(post_alert, read_answer, URL, CHANNEL),
    },
    presets=(ALERTS,),
    check=check,
)  # fmt: skip
