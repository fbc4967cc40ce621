"""The actions of visits and people: pages, searches, sign-ups, leads, and any other event."""

import re
from typing import Final

from relay.destinations.google_analytics_4.collect import Fields, Kind, action, currency_beside_value
from relay.destinations.google_analytics_4.fields import CLOSING, CURRENCY, REST, USER_PROPERTIES, VALUE, of, opening
from relay.kit.definition import Field

_SPACE = re.compile(r"\s")


def event_name(fields: Fields) -> str:
    """Google takes no white space in names."""
    name = _SPACE.sub("_", fields["name"].strip())
    return name.lower() if fields.get("lowercase") else name


PAGE_VIEW: Final = action(
    "pageView",
    "Page View",
    "A page was viewed.",
    (
        *opening("clientId"),
        Field("page_location", "Page URL", default={"@path": "$.context.page.url"}),
        Field("page_referrer", "Referrer", default={"@path": "$.context.page.referrer"}),
        USER_PROPERTIES,
        Field("page_title", "Page title", default={"@path": "$.context.page.title"}),
        *CLOSING,
    ),
    'type = "page"',
    Kind("page_view", ("page_location", "page_referrer", "page_title"), client="clientId"),
)

CUSTOM_EVENT: Final = action(
    "customEvent",
    "Custom Event",
    "Any other event.",
    (
        *opening("clientId"),
        Field("name", "Event name", required=True, default={"@path": "$.event"}, help="White space becomes _."),
        Field("lowercase", "Lower case", type="boolean", default=False, help="Writes the name in lower case: Google tells cases apart."),
        *REST,
    ),
    'type = "track"',
    Kind("", client="clientId", name_of=event_name),
)

SEARCH: Final = action(
    "search",
    "Search",
    "Something was searched for.",
    (*opening(), Field("search_term", "Search term", required=True, default=of("query")), *REST),
    'type = "track" and event = "Products Searched"',
    Kind("search", ("search_term",)),
)

SIGN_UP: Final = action(
    "signUp",
    "Sign Up",
    "Somebody signed up.",
    (*opening(), Field("method", "Method", default=of("type")), *REST),
    'type = "track" and event = "Signed Up"',
    Kind("sign_up", ("method",)),
)

LOGIN: Final = action(
    "login",
    "Login",
    "Somebody signed in.",
    (*opening(), Field("method", "Method"), *REST),
    'type = "track" and event = "Signed In"',
    Kind("login", ("method",)),
)

GENERATE_LEAD: Final = action(
    "generateLead",
    "Generate Lead",
    "Somebody asked for information.",
    (*opening(), CURRENCY, VALUE, *REST),
    'type = "track"',
    Kind("generate_lead", ("currency", "value"), (currency_beside_value,)),
)
