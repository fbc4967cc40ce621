"""LaunchDarkly: events as custom metric events, for experiments; identify and alias calls join an anonymous key to a known one."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from relay.destinations.launchdarkly.alias_user import ALIAS_USER
from relay.destinations.launchdarkly.bulk import EVENTS_HOST, HOST, host_of
from relay.destinations.launchdarkly.track_event import TRACK_EVENT
from relay.errors import Problem
from relay.kit.definition import Definition, Preset, Setting
from relay.kit.request import Request


def check(settings: Mapping[str, Any]) -> Sequence[Problem]:
    """What the types of the settings cannot show."""
    host = str(settings.get("events_host_name") or "")
    if host and not HOST.fullmatch(host):
        return [Problem("events_host_name: it must be a host name, without scheme and path", None, f"write it as {EVENTS_HOST}")]
    return []


def test(settings: Mapping[str, Any]) -> Request | None:
    """200: the client-side ID is known; 404: it is not. None: nobody knows where an instance with hosts of its own would tell."""
    host = host_of(settings)
    if not (host.startswith("events.") and host.endswith("launchdarkly.com")):
        return None
    return Request("HEAD", f"https://clientsdk.{host.removeprefix('events.')}/sdk/goals/{quote(str(settings['client_id']), safe='')}")


DEFINITION = Definition(
    slug="launchdarkly",
    name="LaunchDarkly",
    description="Sends events as custom metric events for experiments.",
    settings=(
        Setting("client_id", "Client-side ID", required=True, help="Of the environment; it stands in LaunchDarkly's account settings."),
        Setting("events_host_name", "Events host", default=EVENTS_HOST, help="Only for an instance with hosts of its own."),
    ),
    actions={action.slug: action for action in (TRACK_EVENT, ALIAS_USER)},
    presets=(
        Preset("Track Event", "trackEvent", TRACK_EVENT.default_trigger),
        Preset("Alias User", "aliasUser", ALIAS_USER.default_trigger),
    ),
    check=check,
    test=test,
)
