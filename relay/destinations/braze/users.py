"""Users: their profile, their aliases, and who an alias is. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from relay.destinations.braze.api import BRAZE_ID, EXTERNAL_ID, USER_ALIAS, Fields, iso_time, post, read_single, tracking, whom
from relay.kit.defaults import path, paths
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request

_AS_THEY_ARE: Final = (
    "country", "email_subscribe", "email_open_tracking_disabled", "email_click_tracking_disabled", "facebook", "first_name",
    "home_city", "image_url", "language", "last_name", "phone", "push_subscribe", "push_tokens", "time_zone", "twitter", "_update_existing_only",
)  # fmt: skip
_TIMES: Final = ("date_of_first_session", "date_of_last_session", "marked_email_as_spam_at")
_NEVER_CUSTOM: Final = frozenset((
    "external_id", "user_alias", "email", "braze_id", "time", "products", "properties", "enable_batching", "batch_size", "firstName", "lastName", "avatar",
    "gender", "dob", "current_location", *_AS_THEY_ARE, *_TIMES,
))  # fmt: skip
"""Traits that are no custom attributes, also when the field of that name has no value: as in Segment, the mapping alone fills Braze's own."""
_GENDERS: Final[Mapping[str, str]] = {
    "man": "M", "male": "M", "m": "M", "woman": "F", "female": "F", "w": "F", "f": "F", "other": "O", "o": "O",
    "not applicable": "N", "n": "N", "prefer not to say": "P", "p": "P",
}  # fmt: skip


def profile(settings: Mapping[str, Any], fields: Fields) -> list[dict[str, Any]]:
    """The traits as custom attributes, with Braze's own attributes over them. A null removes the attribute."""
    known = whom(fields) | {name: fields[name] for name in _AS_THEY_ARE if name in fields}
    for name in _TIMES:
        _put_time(known, fields, name, length=None)
    _put_time(known, fields, "dob", length=10)
    if "gender" in fields:
        gender = fields["gender"]
        known["gender"] = _GENDERS.get(gender.lower(), gender) if gender else gender
    if fields.get("current_location"):
        known["current_location"] = fields["current_location"]
    if fields.get("subscription_groups"):
        known["subscription_groups"] = fields["subscription_groups"]
    custom = {name: value for name, value in (fields.get("custom_attributes") or {}).items() if name not in _NEVER_CUSTOM}
    return [custom | known]


def _put_time(known: dict[str, Any], fields: Fields, name: str, length: int | None) -> None:
    """A date that cannot be read is left out."""
    if name not in fields:
        return
    text = iso_time(fields[name])
    if text is not None or fields[name] is None:
        known[name] = text and text[:length]


def create_alias(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """A new alias, of a known user or of a new one."""
    fields = delivery.fields
    alias = {name: fields[name] for name in ("external_id", "alias_name", "alias_label") if fields.get(name) is not None}
    return post(settings, "/users/alias/new", {"user_aliases": [alias]})


def identify_user(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """Who the user with an alias is."""
    fields = delivery.fields
    body: dict[str, Any] = {"aliases_to_identify": [{"external_id": fields["external_id"], "user_alias": fields["user_alias"]}]}
    if "merge_behavior" in fields:
        body["merge_behavior"] = fields["merge_behavior"]
    return post(settings, "/users/identify", body)


UPDATE_PROFILE: Final = tracking(
    "updateUserProfile", "Update a user's profile", "Writes the traits of a user as attributes.", 'type = "identify"', "attributes", profile,
    (
        EXTERNAL_ID,
        USER_ALIAS,
        BRAZE_ID,
        Field("country", "Country", allow_null=True, default=path("context.location.country"), help="ISO code of two letters."),
        Field(
            "current_location", "Location", type="object",
            properties=(Field("latitude", "Latitude", type="number"), Field("longitude", "Longitude", type="number")),
            default=paths({"latitude": "context.location.latitude", "longitude": "context.location.longitude"}),
        ),
        Field("date_of_first_session", "First session", type="datetime", allow_null=True),
        Field("date_of_last_session", "Last session", type="datetime", allow_null=True),
        Field("dob", "Date of birth", type="datetime", allow_null=True),
        Field("email", "E-mail", allow_null=True, default=path("traits.email")),
        Field("email_subscribe", "E-mail subscription", help="opted_in, subscribed or unsubscribed."),
        Field("email_open_tracking_disabled", "No open tracking", type="boolean", help="Puts no tracking pixel into mails to the user."),
        Field("email_click_tracking_disabled", "No click tracking", type="boolean", help="Leaves the links in mails to the user as they are."),
        Field(
            "facebook", "Facebook", type="object", help="What is known of the user's Facebook account.",
            properties=(Field("id", "Id"), Field("likes", "Likes", multiple=True), Field("num_friends", "Friends", type="integer")),
        ),
        Field("first_name", "First name", allow_null=True, default=path("traits.firstName")),
        Field("gender", "Gender", allow_null=True, default=path("traits.gender"), help="M, F, O, N, P, or words for them such as female."),
        Field("home_city", "City", allow_null=True, default=path("traits.address.city")),
        Field("image_url", "Image URL", format="uri", allow_null=True, default=path("traits.avatar")),
        Field("language", "Language", allow_null=True, help="ISO code of two letters."),
        Field("last_name", "Last name", default=path("traits.lastName")),
        Field("marked_email_as_spam_at", "Marked as spam at", type="datetime", allow_null=True),
        Field("phone", "Phone", allow_null=True, default=path("traits.phone")),
        Field("push_subscribe", "Push subscription", help="opted_in, subscribed or unsubscribed."),
        Field(
            "push_tokens", "Push tokens", type="object", multiple=True,
            properties=(Field("app_id", "App id", required=True), Field("token", "Token", required=True), Field("device_id", "Device id")),
        ),
        Field("time_zone", "Time zone", help="A name of the IANA database, for example America/New_York."),
        Field(
            "twitter", "Twitter", type="object", help="What is known of the user's Twitter account.",
            properties=(
                Field("id", "Id"), Field("screen_name", "Screen name"), Field("followers_count", "Followers", type="integer"),
                Field("friends_count", "Friends", type="integer"), Field("statuses_count", "Posts", type="integer"),
            ),
        ),
        Field(
            "subscription_groups", "Subscription groups", type="object", multiple=True,
            properties=(
                Field("subscription_group_id", "Group", required=True),
                Field("subscription_state", "State", required=True, choices=("subscribed", "unsubscribed")),
            ),
        ),
        Field("custom_attributes", "Custom attributes", type="object", default=path("traits")),
    ),
)  # fmt: skip

CREATE_ALIAS: Final = Action(
    slug="createAlias",
    title="Create an alias",
    description="Gives a user another name, or makes a user who has only that name.",
    fields=(
        Field("external_id", "External id", allow_null=True, help="Of a known user."),
        Field("alias_name", "Alias name", required=True),
        Field("alias_label", "Alias label", required=True, help="What kind of name it is."),
    ),
    default_trigger='event = "Create Alias"',
    perform=create_alias,
    read_answer=read_single,
)
IDENTIFY_USER: Final = Action(
    slug="identifyUser",
    title="Identify a user",
    description="Tells who a user is that has only an alias.",
    fields=(
        Field("external_id", "External id", required=True),
        Field(
            "user_alias", "User alias", type="object", required=True,
            properties=(Field("alias_name", "Alias name", required=True), Field("alias_label", "Alias label", required=True)),
        ),
        Field("merge_behavior", "Merge", choices=("none", "merge"), help="Whether what the alias has moves to the user."),
    ),
    perform=identify_user,
    read_answer=read_single,
)  # fmt: skip
