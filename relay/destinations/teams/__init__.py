"""Microsoft Teams: cards through a workflow or an old connector; relay's own alerts in a layout of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.destinations.teams.post import post_alert, post_message, read_answer
from relay.errors import Problem
from relay.kit.alert_card import TRIGGER
from relay.kit.definition import Action, Definition, Field, Preset, Setting
from relay.kit.url import url_problem

URL_HELP = "The address of another workflow; left out: the destination's setting url."


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    url = settings.get("url")
    wrong = url_problem(url.reveal()) if url else ""
    return [Problem(f"url: {wrong}", None, "copy the workflow's address from Teams")] if wrong else []


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
                Field("url", "Webhook URL", format="uri", help=URL_HELP),
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
        "postAlert": Action(
            slug="postAlert",
            title="Post an alert of relay",
            description="Posts an alert of the source relay: what is wrong, since when, a sample, and what to do.",
            fields=(
                Field("url", "Webhook URL", format="uri", help=URL_HELP),
                Field("name", "Event", required=True, default={"@path": "$.event"}),
                Field("alert", "Alert", type="object", required=True, default={"@path": "$.properties"}),
            ),
            default_trigger=TRIGGER,
            perform=post_alert,
            read_answer=read_answer,
        ),
    },
    presets=(Preset("Alerts of relay", "postAlert", TRIGGER),),
    check=check,
)  # fmt: skip
