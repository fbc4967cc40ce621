"""Facebook Conversions API: events to Meta's Graph API, with what identifies people hashed."""

from collections.abc import Mapping
from typing import Any

from relay.destinations.facebook_conversions_api.events import ACTIONS
from relay.destinations.facebook_conversions_api.graph import SECRETS, headers_of, pixel_url, read_answer
from relay.kit.definition import Definition, Setting
from relay.kit.request import Request


def test(settings: Mapping[str, Any]) -> Request:
    """The name of the pixel: 200, if the token may see it."""
    return Request("GET", f"{pixel_url(settings)}?fields=name", headers_of(settings), secrets=SECRETS)


DEFINITION = Definition(
    slug="facebook-conversions-api",
    name="Facebook Conversions API (Actions)",
    description="Reports conversions to Meta's Conversions API.",
    settings=(
        Setting("pixelId", "Pixel id", required=True, help="Of a pixel, or of a dataset."),
        Setting("accessToken", "Access token", required=True, secret=True, help="Of a system user, or made in Meta's Events Manager for the pixel."),
        Setting("testEventCode", "Test event code", help="Shows all events in the test view of the Events Manager; take it off again."),
    ),
    actions={action.slug: action for action in ACTIONS},
    test=test,
    read_test=read_answer,
)
