"""Microsoft Teams: cards through a workflow or an old connector; relay's own alerts in a layout of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.teams.post import post_alert, post_message, read_answer
from relay.errors import Problem
from relay.kit.chat_webhook import ALERTS, address_field, check_address, post_alert_action
from relay.kit.definition import Action, Definition, Field, Setting

URL = address_field("The address of another workflow")


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    return check_address(settings, "copy the workflow's address from Teams")


DEFINITION = Definition(
    slug="teams",
    name="Microsoft Teams",
    description="Posts cards to a channel or chat through a workflow.",
    settings=(
        Setting(
            "url", "Webhook URL", secret=True,
            help="Of a workflow that starts when a webhook request is received, or of an old incoming webhook.",
        ),
    ),
    actions={
        "postMessage": Action(
            slug="postMessage",
            title="Post message",
            description="Posts a title, a text and facts, or a whole adaptive card.",
            fields=(
                URL,
                Field("title", "Title"),
                Field("text", "Message", type="text", help="Markdown as cards know it."),
                Field("facts", "Facts", type="object", help="Names and values, shown as a table."),
                Field("link", "Link", format="uri", help="Opened by a button."),
                Field("card", "Card", type="object", help="A whole adaptive card, instead of the fields above."),
            ),
            default_trigger='type = "track"',
            perform=post_message,
            read_answer=read_answer,
        ),
        "postAlert": post_alert_action(post_alert, read_answer, URL),
    },
    presets=(ALERTS,),
    check=check,
)  # fmt: skip
