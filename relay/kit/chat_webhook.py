"""What the chat destinations share: the address of a webhook in a setting or a field, and the action that posts relay's own alerts. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from relay.base.secret import reveal
from relay.errors import Misconfigured, PayloadError, Problem
from relay.kit.alert_card import TRIGGER
from relay.kit.definition import Action, Delivery, Field, Preset, ReadAnswer
from relay.kit.request import Request
from relay.kit.url import url_problem

SECRETS: Final = frozenset(("url",))
"""The address is the secret, so it is masked as a whole."""
ALERTS: Final = Preset("Alerts of relay", "postAlert", TRIGGER)


def check_address(settings: Mapping[str, Any], remedy: str) -> Sequence[Problem]:
    """What is wrong with the setting `url`."""
    url = settings.get("url")
    wrong = url_problem(url.reveal()) if url else ""
    return [Problem(f"url: {wrong}", None, remedy)] if wrong else []


def address_field(example: str) -> Field:
    """The field `url`, which goes before the setting."""
    return Field("url", "Webhook URL", format="uri", help=f"{example}; left out: the destination's setting url.")


def address_of(settings: Mapping[str, Any], fields: Mapping[str, Any], hosts: Sequence[str] = ()) -> str:
    """Where to post. `hosts`: those that the field `url` may name, the best known first; empty: any.

    Raises PayloadError when the address cannot be used, Misconfigured when there is none.
    """
    given = fields.get("url")
    if given and hosts and urlsplit(given).hostname not in hosts:
        raise PayloadError(f'field "url": the address must be of {hosts[0]}; put one of another server into the setting url', field="url")
    url: str = given or reveal(settings.get("url"))
    if not url:
        raise Misconfigured("there is no webhook URL: give the setting url, or the field url in the mapping")
    problem = url_problem(url)
    if problem:
        raise PayloadError(f'field "url": {problem}', field="url")
    return url


def post_alert_action(perform: Callable[[Mapping[str, Any], Delivery], Request], read_answer: ReadAnswer, address: Field, *own: Field) -> Action:
    """The action that posts an alert of relay; `own`: fields that only this chat has."""
    return Action(
        slug=ALERTS.action,
        title="Post an alert of relay",
        description="Posts an alert of the source relay: what is wrong, since when, a sample, and what to do.",
        fields=(
            address,
            Field("name", "Event", required=True, default={"@path": "$.event"}),
            Field("alert", "Alert", type="object", required=True, default={"@path": "$.properties"}),
            *own,
        ),
        default_trigger=TRIGGER,
        perform=perform,
        read_answer=read_answer,
    )


def cut(text: str, most: int) -> str:
    """At most `most` characters; a cut text ends with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"
