"""How fields of one kind are recognised: Segment's standard matchers as data, users' own ones, and what both say about a key or a value. Pure.

Keys are compared by their letters and digits alone, letter case aside: `first_name`, `firstName` and `First-Name` are one key.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import re2

from relay.base import jsonio
from relay.kit import value_forms

RED: Final = "red"
YELLOW: Final = "yellow"
COLORS: Final = (RED, YELLOW)
SECTIONS: Final = ("context", "traits", "properties")
"""The parts of a message that are looked through; what stands beside them is never touched."""
SIMILAR_ABOVE: Final = 0.7
"""Segment: Dice coefficient of two keys that mean the same."""

_KEYS_KEPT: Final = 8_192
_KEY_CHARS_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Matcher:
    """How fields of one kind are recognised (semantics page 6.1): by their key, by their value, or by their place."""

    name: str
    color: str = ""
    """`red`, `yellow`, or empty: not classified, only named by a rule."""
    keys: tuple[str, ...] = ()
    """The name and its synonyms."""
    similar: bool = False
    """Keys that resemble one of `keys` count too."""
    pattern: str = ""
    """RE2 over values that are strings or numbers, anywhere in them."""
    path: str = ""
    """The one field that is meant, full and dotted; the rest is empty then."""
    form: str = ""
    """A form of `kit.value_forms` that a whole value may have, whatever its key; of standard matchers."""
    of_things: bool = True
    """It also means the name or condition of a thing (an app, a product); of standard matchers only when a rule names them."""


Ranked = Sequence[tuple[Matcher, int]]
"""Matchers with what each stands for: the greatest number of those that meet a field counts; 0 means that none does."""

_WHOSE: Final = (
    "", "user", "customer", "client", "contact", "member", "billing", "shipping", "delivery", "recipient", "sender", "home", "work", "personal",
    "primary", "secondary", "business", "company",
)  # fmt: skip


def _of(*keys: str) -> tuple[str, ...]:
    """The keys, and each of them with a word before it that says whose it is."""
    return tuple(f"{whose}{key}" for key in keys for whose in _WHOSE)


STANDARD: Final = (
    Matcher("social security number", RED, ("socialsecuritynumber", "socialsecurity", "socialsecurityno", "ssn", "ssnumber"), form=value_forms.SSN),
    Matcher("password", RED, ("password", "passwd", "pwd", "passphrase", "passcode", "userpassword", "newpassword", "oldpassword", "currentpassword",
            "passwordconfirmation", "confirmpassword", "passwordhash")),
    Matcher("visa", RED, ("visa", "visanumber", "visastatus", "visatype")),
    Matcher("veteran", RED, ("veteran", "veteranstatus", "isveteran", "militarystatus")),
    Matcher("disability", RED, ("disability", "disabilities", "disabilitystatus", "disabilitytype", "hasdisability", "isdisabled")),
    Matcher("credit card", RED, ("creditcard", "creditcardnumber", "creditcardno", "ccnumber", "ccnum", "cardnumber", "cardno", "debitcard",
            "debitcardnumber", "paymentcard", "paymentcardnumber", "pan", "cvv", "cvc", "cvv2", "cardcvc", "cardcvv", "cardverificationvalue",
            "cardexpiry"), form=value_forms.CARD),
    Matcher("passport", RED, ("passport", "passportnumber", "passportno", "passportid")),
    Matcher("token", RED, ("token", "accesstoken", "authtoken", "authenticationtoken", "refreshtoken", "idtoken", "apitoken", "sessiontoken",
            "bearertoken", "securitytoken", "csrftoken", "usertoken", "logintoken", "resettoken", "apikey", "secretkey", "clientsecret"),
            form=value_forms.TOKEN),
    Matcher("bank account", RED, ("iban", "bankaccount", "bankaccountnumber", "bankaccountno", "ibannumber"), form=value_forms.IBAN),
    Matcher("race", YELLOW, ("race",)),
    Matcher("birthdate", YELLOW, ("birthdate", "birthday", "dateofbirth", "birthyear", "yearofbirth", "dob", "userbirthdate", "userbirthday")),
    Matcher("phone", YELLOW, (*_of("phone", "phonenumber", "phoneno", "mobile", "mobilephone", "mobilenumber", "telephone", "telephonenumber"),
            "tel", "cell", "cellphone", "cellnumber", "msisdn", "fax", "faxnumber"), form=value_forms.PHONE),
    Matcher("address", YELLOW, (*_of("address", "postaladdress", "addressline1", "addressline2", "address1", "address2"), "streetaddress",
            "mailingaddress", "residence")),
    Matcher("gender", YELLOW, ("gender", "genderidentity", "usergender")),
    Matcher("ethnicity", YELLOW, ("ethnicity", "ethnicgroup", "ethnicorigin")),
    Matcher("citizenship", YELLOW, ("citizenship", "citizen", "nationality", "citizenshipstatus")),
    Matcher("name", YELLOW, ("name", "firstname", "lastname", "middlename", "fullname", "givenname", "familyname", "surname", "forename", "maidenname",
            "nickname", "birthname", "legalname", "realname", "customername", "contactname", "billingname", "shippingname", "recipientname",
            "cardholdername", "cardholder", "billingfirstname", "billinglastname", "shippingfirstname", "shippinglastname", "namefirst", "namelast"),
            of_things=False),
    Matcher("street", YELLOW, (*_of("street", "streetname", "streetnumber"), "housenumber")),
    Matcher("city", YELLOW, (*_of("city"), "town", "cityname")),
    Matcher("zipcode", YELLOW, (*_of("zipcode", "zip", "postalcode", "postcode"), "pincode", "plz")),
    Matcher("email", YELLOW, (*_of("email", "emailaddress", "mailaddress"), "mail", "emails", "emailid"), form=value_forms.EMAIL),
    Matcher("certificate", YELLOW, ("certificate", "certificatenumber", "certificateno", "birthcertificate"), of_things=False),
    Matcher("license", YELLOW, ("license", "licence", "licensenumber", "licencenumber", "driverslicense", "driverslicence", "driverlicense",
            "driverlicence", "drivinglicense", "drivinglicence", "driverslicensenumber", "driverlicensenumber", "licenseplate", "licenceplate"),
            of_things=False),
    Matcher("identification", YELLOW, ("identification", "identificationnumber", "identificationno", "identitycard", "identitynumber", "idnumber",
            "idcard", "idcardnumber", "nationalid", "nationalidnumber", "nationalidentitynumber", "personalid", "taxid", "taxnumber", "tin")),
    Matcher("serial", YELLOW, ("serial", "serialnumber", "serialno", "deviceserial", "deviceserialnumber"), of_things=False),
    Matcher("ip", YELLOW, ("ip", "ipaddress", "ipaddr", "ipv4", "ipv6", "clientip", "userip", "remoteip", "remoteaddr", "lastip", "loginip", "sourceip",
            "xforwardedfor", "clientipaddress", "useripaddress"), form=value_forms.IP),
    Matcher("photo", YELLOW, ("photo", "photos", "photourl", "photograph", "avatar", "avatarurl", "profilephoto", "profilepicture", "profilepic",
            "userphoto", "profileimage", "profileimageurl")),
    Matcher("salary", YELLOW, ("salary", "annualsalary", "monthlysalary", "basesalary", "income", "annualincome", "householdincome")),
    Matcher("religion", YELLOW, ("religion", "religiousbelief", "religiousaffiliation")),
    Matcher("mac", YELLOW, ("mac", "macaddress", "macaddr", "wifimac", "bluetoothmac", "devicemac"), form=value_forms.MAC),
    Matcher("sex", YELLOW, ("sex", "biologicalsex", "birthsex")),
    Matcher("sexual orientation", YELLOW, ("sexualorientation", "sexualpreference")),
    Matcher("medication", YELLOW, ("medication", "medications", "medicationname", "prescription", "prescriptions")),
    Matcher("allergy", YELLOW, ("allergy", "allergies")),
    Matcher("condition", YELLOW, ("condition", "medicalcondition", "medicalconditions", "healthcondition", "healthconditions", "preexistingcondition"),
            of_things=False),
    Matcher("diagnosis", YELLOW, ("diagnosis", "diagnoses", "diagnosiscode")),
    Matcher("procedure", YELLOW, ("procedure", "procedures", "medicalprocedure", "medicalprocedures")),
)  # fmt: skip
"""Segment's standard matchers, with synonyms and forms of ours; `bank account` is an addition."""

THINGS: Final = frozenset(
    {"app", "browser", "campaign", "carrier", "item", "items", "library", "network", "os", "page", "plan", "product", "products", "screen"}
)
"""Objects that are no person: their `name` is the name of a thing."""
_OF_THINGS: Final = frozenset({"name", "condition", "serial", "license", "licence", "certificate"})


def normal(key: str) -> str:
    """A key as keys are compared: its letters and digits, in lower case."""
    plain = key if key.isascii() else unicodedata.normalize("NFKC", key)
    return "".join(filter(str.isalnum, plain.lower()))


_normal_known: Final = lru_cache(maxsize=4_096)(normal)
"""For the keys of matchers alone, which are read again with each source; those of events could be of any length and number."""


class KeyMemory(dict[str, int]):
    """What keys mean, found once for each; bounded: it is emptied when full, and keys of odd length are found anew each time."""

    def __init__(self, find: Callable[[str], int]) -> None:
        self._find = find

    def __missing__(self, key: str) -> int:
        found = self._find(key)
        if len(key) <= _KEY_CHARS_KEPT:
            if len(self) >= _KEYS_KEPT:
                self.clear()
            self[key] = found
        return found


def rank_keys(ranked: Ranked, *, in_thing: bool = False) -> KeyMemory:
    """The rank of a key. `in_thing`: of a key in an object that is one of THINGS."""
    exact: dict[str, int] = {}
    alike: dict[str, int] = {}
    for matcher, rank in ranked:
        for key in map(_normal_known, matcher.keys):
            if in_thing and not matcher.of_things and key in _OF_THINGS:
                continue
            exact[key] = max(rank, exact.get(key, 0))
            if matcher.similar:
                alike[key] = max(rank, alike.get(key, 0))
    rank_likeness = _rank_likeness(alike)

    def find(key: str) -> int:
        plain = normal(key)
        return max(exact.get(plain, 0), rank_likeness(plain)) if plain else 0

    return KeyMemory(find)


def _rank_likeness(known: Mapping[str, int]) -> Callable[[str], int]:
    """The greatest rank of the known keys that a key resembles by the Dice coefficient of their pairs of letters. Only keys that share a pair are
    compared, so an event full of strange keys costs little, however many matchers there are."""
    holders: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for key in known:
        for pair, count in Counter(pairwise(key)).items():
            holders.setdefault(pair, []).append((key, count))
    longest = max(map(len, known), default=0)

    def rank_likeness(key: str) -> int:
        if len(key) > 2 * longest:  # too unequal in length to be similar
            return 0
        shared: dict[str, int] = {}
        for pair, count in Counter(pairwise(key)).items():
            for other, most in holders.get(pair, ()):
                shared[other] = shared.get(other, 0) + min(count, most)
        return max((known[other] for other, pairs in shared.items() if 2 * pairs > SIMILAR_ABOVE * (len(key) + len(other) - 2)), default=0)

    return rank_likeness


def rank_values(ranked: Ranked) -> Callable[[str, Any], int] | None:
    """The rank of a value that is a string or a number, with its key; None when no matcher looks at values."""
    forms: dict[str, int] = {}
    for matcher, rank in ranked:
        if matcher.form:
            forms[matcher.form] = max(rank, forms.get(matcher.form, 0))
    patterns = [(matcher.pattern, rank) for matcher, rank in ranked if matcher.pattern]
    if not forms and not patterns:
        return None
    find, may_begin = value_forms.find_candidate(forms), value_forms.may_begin

    def rank_form(key: str, value: Any) -> int:
        if value.__class__ is not str:
            if value.__class__ is not int or value < value_forms.CARD_LEAST:
                return 0
            value = str(value)
        elif "@" not in value and may_begin(value) is None:
            return 0
        candidate = find(value)
        return 0 if candidate is None else forms.get(value_forms.form_of(key, candidate), 0)

    if not patterns:
        return rank_form
    find_all, ranks = compile_patterns([pattern for pattern, _ in patterns]), [rank for _, rank in patterns]

    def rank_value(key: str, value: Any) -> int:
        found, kind = rank_form(key, value), value.__class__
        if kind is bool:
            return found
        text = value.encode("utf-8", "replace") if kind is str else jsonio.dumps(value)
        return max([found, *(ranks[position] for position in find_all(text))])

    return rank_value


def compile_pattern(pattern: str) -> Callable[[bytes], Any]:
    """Searches a text (UTF-8) for an RE2 pattern, in linear time; ValueError tells what is wrong with the pattern."""
    try:
        compiled = re2.compile(pattern.encode(), _options())
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from error
    search: Callable[[bytes], Any] = compiled.search
    return search


def compile_patterns(patterns: Sequence[str]) -> Callable[[bytes], list[int]]:
    """Positions of the patterns that a text (UTF-8) holds, all of them looked for at once."""
    searches = [compile_pattern(pattern) for pattern in patterns]

    def find_each(text: bytes) -> list[int]:
        return [position for position, search in enumerate(searches) if search(text)]

    together = re2.Set.SearchSet(_options())
    try:
        for pattern in (*patterns, ""):
            together.Add(pattern.encode())
        together.Compile()
    except re2.error:  # each is small enough, all together are not
        return find_each
    match, witness = together.Match, len(patterns)

    def find_all(text: bytes) -> list[int]:
        found: list[int] = match(text)
        # The empty pattern is in every text. Where it was not found RE2 was out of memory, which it tells in no other way.
        return [position for position in found if position != witness] if witness in found else find_each(text)

    return find_all


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def classifier(matchers: Sequence[Matcher], *, in_thing: bool = False) -> Callable[[str, Any], Matcher | None]:
    """A function of key and value to the first of the matchers that meets them; matchers with a path are left out."""
    ranked = [(matcher, len(matchers) - position) for position, matcher in enumerate(matchers) if not matcher.path]
    by_rank = {rank: matcher for matcher, rank in ranked}
    keys, rank_value = rank_keys(ranked, in_thing=in_thing), rank_values(ranked)

    def classify_field(key: str, value: Any) -> Matcher | None:
        rank = keys[key]
        if rank_value is not None and isinstance(value, str | int | float):
            rank = max(rank, rank_value(key, value))
        return by_rank.get(rank)

    return classify_field


classify: Final = classifier(STANDARD)
"""What a field is by its key and value, by the standard matchers; None: nothing that they know."""


def with_standard(own: Sequence[Matcher]) -> tuple[Matcher, ...]:
    """The user's matchers, then the standard ones that are not replaced by one of the same name."""
    names = {normal(matcher.name) for matcher in own}
    return (*own, *(matcher for matcher in STANDARD if normal(matcher.name) not in names))


def classified(message: Mapping[str, Any], matchers: Sequence[Matcher]) -> Iterator[tuple[str, Any, Matcher]]:
    """Path, value and matcher of each field of a message that is red or yellow; what stands in a list has the path of the list."""
    colored = [matcher for matcher in matchers if matcher.color]
    judges = classifier(colored), classifier(colored, in_thing=True)

    def look(value: Any, key: str, path: str, in_thing: bool) -> Iterator[tuple[str, Any, Matcher]]:
        if isinstance(value, Mapping):
            for name, item in value.items():
                below = f"{path}.{name.replace('.', chr(92) + '.')}"
                if (found := judges[in_thing](name, item)) is not None:
                    yield below, item, found
                else:
                    yield from look(item, name, below, in_thing or name in THINGS)
        elif isinstance(value, list):
            for item in value:
                if not isinstance(item, Mapping | list) and (found := judges[in_thing]("", item)) is not None:
                    yield path, item, found
                yield from look(item, key, path, in_thing)

    for section in SECTIONS:
        yield from look(message.get(section), section, section, False)
