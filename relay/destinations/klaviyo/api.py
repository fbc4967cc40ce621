"""Requests to Klaviyo, who a profile is, and what the answers to batches say. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from relay.base.secret import reveal
from relay.errors import DeliveryError, PayloadError, Permanent, Retryable
from relay.kit.definition import Delivery, Field
from relay.kit.post import JSON_HEADERS, Headers, post_json
from relay.kit.request import Request, Response
from relay.kit.steps import Steps

ORIGIN: Final = "https://a.klaviyo.com"
REVISION: Final = "2025-01-15"
SECRETS: Final = frozenset(("authorization",))
EXTERNAL_ID_CHARS: Final = 255
BATCH_BYTES: Final = 4_000_000
"""Klaviyo takes 5 MB in one request."""

Fields = Mapping[str, Any]
Make = Callable[[Fields], dict[str, Any]]
"""Fields to what is sent of one event; raises PayloadError for an event that cannot be sent."""

_COUNTRIES: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN "
    "CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HM HN "
    "HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML "
    "MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PT PW PY QA RE RO RS RU RW SA SB "
    "SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TZ UA UG UM UN US UY UZ VA VC VE VG VI VN VU "
    "WF WS YE YT ZA ZM ZW"
)
COUNTRY: Final = Field(
    "country_code", "Country", choices=tuple(_COUNTRIES.split()), help="Of phone numbers that are written without +, as two letters."
)

_E164 = re.compile(r"\+[1-9]\d{1,14}")
_PLACE = re.compile(r"/data/attributes/(?:events-bulk-create|profiles)/data/(\d+)")


def headers(settings: Mapping[str, Any]) -> Headers:
    """What every request carries: the key, and the version of the API."""
    return ("authorization", f"Klaviyo-API-Key {reveal(settings['api_key'])}"), ("accept", "application/json"), ("revision", REVISION)


def send(settings: Mapping[str, Any], where: str, body: Mapping[str, Any], method: str = "POST") -> Request:
    """`where`: the path of the API."""
    return post_json(ORIGIN + where, body, headers(settings), secrets=SECRETS, method=method)


def get(settings: Mapping[str, Any], where: str) -> Request:
    """`where`: path and query."""
    return Request("GET", ORIGIN + where, (*JSON_HEADERS, *headers(settings)), secrets=SECRETS)


def delete_profile(settings: Mapping[str, Any], user_id: str) -> Steps[None]:
    """A job of Klaviyo's that deletes the profile with this external id, and its events; when there is none, nothing."""
    text = user_id.replace("\\", "\\\\").replace('"', '\\"')
    wanted = quote(f'equals(external_id,"{text}")', safe="")
    found = yield get(settings, f"/api/profiles?filter={wanted}")
    profiles = found.json_object().get("data") if found.is_ok else None
    for profile in profiles if isinstance(profiles, list) else ():
        profile_id = profile.get("id") if isinstance(profile, Mapping) else None
        if profile_id:
            job = {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {"type": "profile", "id": str(profile_id)}}}}
            yield send(settings, "/api/data-privacy-deletion-jobs", {"data": job})


def phone_number(fields: Fields) -> str | None:
    """The phone number in E.164, made of a national one with the help of its country; None: there is none. Raises PayloadError."""
    given = fields.get("phone_number")
    if not given:
        return None
    if _E164.fullmatch(given):
        return str(given)
    number = _international(given, fields["country_code"]) if fields.get("country_code") else None
    if number is None:
        raise PayloadError('field "phone_number" must be in E.164 (+14155550101), or country_code must say where it is valid', field="phone_number")
    return number


def _international(text: str, country: str) -> str | None:
    import phonenumbers  # its tables are loaded only where a country is mapped

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    is_valid = phonenumbers.is_valid_number_for_region(number, country)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if is_valid else None


def whom(fields: Fields, *also: str) -> dict[str, Any]:
    """The ids of a profile: email, phone number, external id, and those named in `also`. Raises PayloadError when there is none, or one is wrong."""
    ids = {name: fields[name] for name in ("email", "external_id", *also) if fields.get(name)}
    phone = phone_number(fields)
    if phone is not None:
        ids["phone_number"] = phone
    if not ids:
        raise PayloadError(f"one of email, phone_number, external_id{', ' if also else ''}{', '.join(also)} is needed", field="email")
    if len(ids.get("external_id", "")) > EXTERNAL_ID_CHARS:
        raise PayloadError(f'field "external_id" is longer than {EXTERNAL_ID_CHARS} characters', field="external_id")
    return ids


def made_of(make: Make, deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """What is sent of the events that can be sent. Raises PayloadError when there is none."""
    tried = [try_make(make, delivery) for delivery in deliveries]
    made = [one for one in tried if isinstance(one, dict)]
    if not made:
        raise next(one for one in tried if isinstance(one, PayloadError))
    return made


def try_make(make: Make, delivery: Delivery) -> dict[str, Any] | PayloadError:
    """What is sent of an event, or why it cannot be sent."""
    try:
        return make(delivery.fields)
    except PayloadError as error:
        return error


def read_batch(make: Make, deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """Events that were not sent are refused; of a batch that was refused for a few of its events, the others come again."""
    if len(deliveries) == 1:
        return None
    tried = [try_make(make, delivery) for delivery in deliveries]
    errors: list[DeliveryError | None] = [
        Permanent(one.message, code=one.code, status=400) if isinstance(one, PayloadError) else None for one in tried
    ]
    if response.is_ok:
        return errors
    if response.status not in (400, 422):
        return None
    sent = [place for place, error in enumerate(errors) if error is None]
    named = [(sent[place], reason) for place, reason in _named(response) if place < len(sent)]
    for place in sent if named else ():
        errors[place] = Retryable("Klaviyo refuses other events of the batch", status=response.status)
    for place, reason in named:
        errors[place] = Permanent(f"Klaviyo refuses it: {reason}", status=response.status)
    return errors if named else None


def _named(response: Response) -> list[tuple[int, str]]:
    """Place and reason of each event that a refusal names."""
    errors = response.json_object().get("errors")
    found = []
    for error in errors if isinstance(errors, list) else ():
        source = error.get("source") if isinstance(error, Mapping) else None
        place = _PLACE.match(str(source.get("pointer"))) if isinstance(source, Mapping) else None
        if place:
            found.append((int(place[1]), str(error.get("detail") or error.get("title") or "no reason given")))
    return found


def batching(default: bool | None, largest: int, *keys: str) -> tuple[Field, ...]:
    """The fields by which a mapping asks for batches; `keys`: the fields whose values must be equal within one."""
    asked = Field("enable_batching", "Batch", type="boolean", default=default, help="Sends several events in one request.")
    size = Field("batch_size", "Batch size", type="number", default=largest, help="Most events in one request.")
    return (asked, size, Field("batch_keys", "Batch keys", multiple=True, default=list(keys))) if keys else (asked, size)
