"""Profiles: create or update, add to a list, remove from a list. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from relay.destinations.klaviyo.api import BATCH_BYTES, COUNTRY, ORIGIN, Fields, batching, get, made_of, read_batch, send, whom
from relay.errors import Permanent, Retryable
from relay.kit.defaults import path, paths
from relay.kit.definition import Action, Delivery, Field, Performed
from relay.kit.request import Request, Response
from relay.kit.steps import Steps

LARGEST_IMPORT: Final = 10_000
LARGEST_REMOVAL: Final = 1000
LARGEST_LOOK_UP: Final = 100
_MORE: Final = ("first_name", "last_name", "organization", "title", "image", "location", "properties")


def profile(fields: Fields) -> dict[str, Any]:
    """The attributes of a profile."""
    return whom(fields) | {name: fields[name] for name in _MORE if name in fields}


# --- create or update, add to a list -------------------------------------------------------------------------------------------


def upsert(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Makes the profile; one that is there already is updated instead. Then it joins the list, if one is named."""
    data = {"type": "profile", "attributes": profile(delivery.fields)}
    return _upsert(settings, data, _list_of(delivery.fields))


def _upsert(settings: Mapping[str, Any], data: dict[str, Any], list_id: str) -> Steps[None]:
    response = yield send(settings, "/api/profiles/", {"data": data})
    profile_id = _profile_id(response)
    if response.status == 409 and profile_id:
        response = yield send(settings, f"/api/profiles/{quote(profile_id, safe='')}", {"data": data | {"id": profile_id}}, "PATCH")
    if list_id and response.is_ok:
        yield _join(settings, list_id, profile_id)


def add(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Makes the profile, or finds the one that is there already, and adds it to the list."""
    data = {"type": "profile", "attributes": profile(delivery.fields)}
    return _add(settings, data, delivery.fields["list_id"])


def _add(settings: Mapping[str, Any], data: dict[str, Any], list_id: str) -> Steps[None]:
    response = yield send(settings, "/api/profiles/", {"data": data})
    profile_id = _profile_id(response)
    if response.is_ok or (response.status == 409 and profile_id):
        yield _join(settings, list_id, profile_id)


def import_profiles(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """Several profiles, which join the list that they share, if one is named."""
    profiles = [{"type": "profile", "attributes": one} for one in made_of(profile, deliveries)]
    job: dict[str, Any] = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles}}}
    list_id = _list_of(deliveries[0].fields)
    if list_id:
        job["relationships"] = {"lists": {"data": [{"type": "list", "id": list_id}]}}
    return send(settings, "/api/profile-bulk-import-jobs/", {"data": job})


def upsert_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Performed:
    """Several profiles; a single one goes alone."""
    return upsert(settings, deliveries[0]) if len(deliveries) == 1 else import_profiles(settings, deliveries)


def add_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Performed:
    """Several profiles; a single one goes alone."""
    return add(settings, deliveries[0]) if len(deliveries) == 1 else import_profiles(settings, deliveries)


def _list_of(fields: Fields) -> str:
    return fields.get("override_list_id") or fields.get("list_id") or ""


def _join(settings: Mapping[str, Any], list_id: str, profile_id: str) -> Request:
    if not profile_id:
        raise Permanent("Klaviyo's answer does not name the profile, so it cannot be added to the list")
    return send(settings, _members(list_id), {"data": [{"type": "profile", "id": profile_id}]})


def _members(list_id: str) -> str:
    return f"/api/lists/{quote(list_id, safe='')}/relationships/profiles/"


def _profile_id(response: Response) -> str:
    """Of a profile that was made, or of the one that is there already; empty: the answer names none."""
    answer = response.json_object()
    if response.is_ok:
        data = answer.get("data")
        return str(data.get("id") or "") if isinstance(data, Mapping) else ""
    errors = answer.get("errors")
    meta = errors[0].get("meta") if isinstance(errors, list) and errors and isinstance(errors[0], Mapping) else None
    return str(meta.get("duplicate_profile_id") or "") if isinstance(meta, Mapping) else ""


# --- remove from a list ------------------------------------------------------------------------------------------------------


def remove(settings: Mapping[str, Any], delivery: Delivery) -> Steps[None]:
    """Looks the profile up and takes it from the list; where there is none, there is nothing to do."""
    return _remove(settings, delivery.fields["list_id"], [whom(delivery.fields)])


def remove_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Steps[None]:
    """Several profiles of the list that they share."""
    return _remove(settings, deliveries[0].fields["list_id"], made_of(whom, deliveries))


def _remove(settings: Mapping[str, Any], list_id: str, people: Sequence[Mapping[str, Any]]) -> Steps[None]:
    found: dict[str, None] = {}
    for where in _look_ups(people):
        following = where
        while following:
            response = yield get(settings, following)
            if not response.is_ok:
                return
            ids, following = _page(response)
            found |= dict.fromkeys(ids)
    profiles = [{"type": "profile", "id": profile_id} for profile_id in found]
    for start in range(0, len(profiles), LARGEST_REMOVAL):
        response = yield send(settings, _members(list_id), {"data": profiles[start : start + LARGEST_REMOVAL]}, "DELETE")
        if not response.is_ok:
            return


def _look_ups(people: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The questions that find the profiles of people, by each kind of id. Of many, only the ids are asked for: an answer is read up to 64 KiB."""
    sparse = "&fields%5Bprofile%5D=created" if len(people) > 1 else ""
    for name in ("external_id", "email", "phone_number"):
        values = [person[name].replace("\\", "\\\\").replace('"', '\\"') for person in people if name in person]
        for start in range(0, len(values), LARGEST_LOOK_UP):
            listed = '","'.join(values[start : start + LARGEST_LOOK_UP])
            condition = f'any({name},["{listed}"])'
            yield f"/api/profiles/?filter={quote(condition, safe='')}{sparse}"


def _page(response: Response) -> tuple[list[str], str]:
    """The ids of the profiles that an answer lists, and where the next page is; empty: there is none."""
    answer = response.json_object()
    if not answer and len(response.body) > len(b"{}"):
        raise Retryable("Klaviyo's list of profiles cannot be read")
    data, links = answer.get("data"), answer.get("links")
    following = links.get("next") if isinstance(links, Mapping) else None
    ids = [str(one["id"]) for one in data if isinstance(one, Mapping) and one.get("id")] if isinstance(data, list) else []
    return ids, following.removeprefix(ORIGIN) if isinstance(following, str) and following.startswith(f"{ORIGIN}/") else ""


# --- definitions ---------------------------------------------------------------------------------------------------------------

AUDIENCE: Final = "context.personas.audience_settings.listId"
AUDIENCE_LIST: Final = Field(
    "list_id", "List", required=True, help="Id of the list; that of the audience by default.",
    default={"@if": {"exists": path(AUDIENCE), "then": path(AUDIENCE), "else": path("context.personas.external_audience_id")}},
)  # fmt: skip
EXTERNAL_ID: Final = Field(
    "external_id", "External id", maximum=255, help="Your id of the profile. Klaviyo advises to map it only when you rely on it."
)
EMAIL: Final = Field("email", "E-mail", format="email", default=path("context.traits.email"))
PHONE: Final = Field("phone_number", "Phone", default=path("context.traits.phone"), help="In E.164, or with country_code.")


def _attributes(at: str, properties: str) -> tuple[Field, ...]:
    """The attributes of a profile besides its ids; `at`: where they are in the event."""
    texts = ("address1", "address2", "city", "region", "zip", "latitude", "longitude", "country")
    return (
        Field("first_name", "First name", default=path(f"{at}.firstName")),
        Field("last_name", "Last name", default=path(f"{at}.lastName")),
        Field("organization", "Organization", default=path(f"{at}.company.name")),
        Field("title", "Title", default=path(f"{at}.title")),
        Field("image", "Image", default=path(f"{at}.avatar"), help="URL of a picture."),
        Field(
            "location", "Location", type="object",
            properties=tuple(Field(name, name.capitalize(), allow_null=True) for name in texts),
            default=paths({
                "city": f"{at}.address.city", "region": f"{at}.address.state", "zip": f"{at}.address.postal_code",
                "address1": f"{at}.address.street", "country": f"{at}.address.country",
            }),
        ),
        Field("properties", "Properties", type="object", default=path(properties), help="Further properties of the profile."),
    )  # fmt: skip


UPSERT_PROFILE: Final = Action(
    slug="upsertProfile",
    title="Create or update a profile",
    description="Writes the traits of a person to their profile.",
    fields=(
        Field("email", "E-mail", format="email", default=path("traits.email")),
        PHONE,
        COUNTRY,
        Field("external_id", "External id", help=EXTERNAL_ID.help),
        *_attributes("traits", "properties"),
        Field("list_id", "List", help="Id of a list that the profile joins."),
        Field("override_list_id", "List of the event", default=path("integrations.Klaviyo.listId"), help="Goes before list_id."),
        *batching(None, LARGEST_IMPORT, "list_id", "override_list_id"),
    ),
    default_trigger='type = "identify"',
    perform=upsert,
    perform_batch=upsert_batch,
    read_answer=partial(read_batch, profile),
    batch_size=LARGEST_IMPORT,
    batch_bytes=BATCH_BYTES,
    batch_keys=("list_id", "override_list_id"),
)
ADD_TO_LIST: Final = Action(
    slug="addProfileToList",
    title="Add a profile to a list",
    description="Makes the profile if need be and adds it to a list.",
    fields=(
        EMAIL, PHONE, COUNTRY, AUDIENCE_LIST, EXTERNAL_ID, *_attributes("properties", "properties.properties"), *batching(True, LARGEST_IMPORT, "list_id"),
    ),
    default_trigger='event = "Audience Entered"',
    perform=add,
    perform_batch=add_batch,
    read_answer=partial(read_batch, profile),
    batch_size=LARGEST_IMPORT,
    batch_bytes=BATCH_BYTES,
    batch_keys=("list_id",),
)  # fmt: skip
REMOVE_FROM_LIST: Final = Action(
    slug="removeProfileFromList",
    title="Remove a profile from a list",
    description="Takes the profile from a list; the profile itself stays.",
    fields=(EMAIL, EXTERNAL_ID, AUDIENCE_LIST, PHONE, COUNTRY, *batching(True, LARGEST_REMOVAL, "list_id")),
    default_trigger='event = "Audience Exited"',
    perform=remove,
    perform_batch=remove_batch,
    read_answer=partial(read_batch, whom),
    batch_size=LARGEST_REMOVAL,
    batch_keys=("list_id",),
)
