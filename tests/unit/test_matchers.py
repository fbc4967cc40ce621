"""Which fields are red or yellow: by key, by value, by a matcher of one's own; and the false friends that are neither."""

from typing import Any

import pytest

from relay.kit.matchers import (
    RED,
    STANDARD,
    YELLOW,
    Matcher,
    classified,
    classifier,
    classify,
    compile_pattern,
    compile_patterns,
    normal,
    rank_keys,
    with_standard,
)

NAMED = {
    "social security number": ["ssn", "social_security_number", "SSN"],
    "password": ["password", "Password", "new_password", "passwd"],
    "visa": ["visa", "visaNumber"],
    "veteran": ["veteran", "isVeteran", "veteran_status"],
    "disability": ["disability", "hasDisability"],
    "credit card": ["creditCard", "credit_card_number", "card-number", "cvv"],
    "passport": ["passport", "passportNumber"],
    "token": ["token", "accessToken", "refresh_token", "apiKey"],
    "bank account": ["iban", "bankAccount"],
    "race": ["race"],
    "birthdate": ["birthdate", "birthday", "date_of_birth", "dob"],
    "phone": ["phone", "phoneNumber", "mobile", "billing_phone"],
    "address": ["address", "shippingAddress", "street_address"],
    "gender": ["gender"],
    "ethnicity": ["ethnicity"],
    "citizenship": ["citizenship", "nationality"],
    "name": ["name", "firstName", "last_name", "full name", "surname"],
    "street": ["street", "streetName"],
    "city": ["city", "billing_city"],
    "zipcode": ["zipcode", "zip", "postalCode"],
    "email": ["email", "e-mail", "E_Mail", "emailAddress", "billing_email", "userEmail"],
    "certificate": ["certificate"],
    "license": ["license", "driversLicense", "license_plate"],
    "identification": ["identification", "nationalId", "tax_id"],
    "serial": ["serial", "serialNumber"],
    "ip": ["ip", "ipAddress", "client_ip"],
    "photo": ["photo", "avatar", "profilePicture"],
    "salary": ["salary", "annual_salary"],
    "religion": ["religion"],
    "mac": ["mac", "macAddress"],
    "sex": ["sex"],
    "sexual orientation": ["sexualOrientation"],
    "medication": ["medication", "medications"],
    "allergy": ["allergy", "allergies"],
    "condition": ["condition", "medicalCondition"],
    "diagnosis": ["diagnosis"],
    "procedure": ["procedure"],
}
SPECIFIED = {
    RED: "social security number, password, visa, veteran, disability, credit card, passport, token",
    YELLOW: "race, birthdate, phone, address, gender, ethnicity, citizenship, name, street, city, zipcode, email, certificate, license, identification, "
    "serial, ip, photo, salary, religion, mac, sex, sexual orientation, medication, allergy, condition, diagnosis, procedure",
}
"""Segment's list."""
FALSE_FRIENDS = [
    "username", "ipad", "message_id", "named", "rename", "filename", "eventName", "product_name", "id", "userId", "anonymousId", "sku", "trace", "embrace",
    "capacity", "velocity", "facility", "emailed", "email_opened", "emailCampaign", "phonetic", "headphones", "addressed", "ipsum", "shipping", "tip",
    "zipped", "stoken", "tokens", "tokenCount", "visage", "advisable", "disabled", "passed", "compass", "machine", "macro", "sexagesimal", "essential",
    "streetwear", "raced", "photogenic", "licensed", "serialized", "conditional", "unconditional", "class", "title", "total", "", "-", "...",
]  # fmt: skip


def name_of(key: str, value: Any = 1) -> str:
    found = classify(key, value)
    return found.name if found else ""


def test_the_standard_matchers_are_segments_and_one_of_ours() -> None:
    for color, names in SPECIFIED.items():
        assert {matcher.name for matcher in STANDARD if matcher.color == color} - {"bank account"} == set(names.split(", "))
    assert {matcher.name for matcher in STANDARD} == set(NAMED)


@pytest.mark.parametrize(("name", "keys"), NAMED.items(), ids=NAMED)
def test_a_standard_matcher_knows_its_keys(name: str, keys: list[str]) -> None:
    assert [name_of(key) for key in keys] == [name] * len(keys)


@pytest.mark.parametrize("key", FALSE_FRIENDS)
def test_a_key_that_only_holds_such_a_word_is_none(key: str) -> None:
    assert name_of(key) == ""


def test_no_synonym_stands_in_two_matchers() -> None:
    keys = [normal(key) for matcher in STANDARD for key in matcher.keys]
    assert len(keys) == len(set(keys))
    assert keys == [key for matcher in STANDARD for key in matcher.keys if key], "synonyms are written as keys are compared"


VALUES = [
    ("credit card", "4111111111111111"),
    ("credit card", "4111 1111 1111 1111"),
    ("credit card", "5500-0000-0000-0004"),
    ("credit card", "378282246310005"),
    ("credit card", "6011111111111117"),
    ("credit card", "3530111333300000"),
    ("credit card", 4111111111111111),
    ("social security number", "078-05-1120"),
    ("email", "ada@example.com"),
    ("email", " Ada.Love+x@mail.example.co.uk "),
    ("email", "mailto:ada@example.com"),
    ("email", "jürgen@münchen.example"),
    ("phone", "+49 170 1234567"),
    ("phone", "+14155552671"),
    ("phone", "(415) 555-2671"),
    ("phone", "415-555-2671"),
    ("ip", "198.51.100.7"),
    ("ip", "2001:db8::ff00:42:8329"),
    ("ip", "::1"),
    ("ip", "::ffff:198.51.100.7"),
    ("mac", "00:1A:2b:3c:4d:5e"),
    ("mac", "00-1A-2B-3C-4D-5E"),
    ("mac", "001a.2b3c.4d5e"),
    ("bank account", "DE89370400440532013000"),
    ("bank account", "GB82 WEST 1234 5698 7654 32"),
    ("token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
]
PLAIN = [
    "4111111111111112", "1234567890123456", "9999999999999995", "0000000000000000", "1700000000000", 1700000000000, 4111111111111112, -4111111111111111,
    "000-12-3456", "666-12-3456", "900-12-3456", "078-00-1120", "078051120", "2026-11-26", "2026-11-26T04:00:00.000Z", "12:30:45", "12:30",
    "https://ada@example.com/x", "lodash@4.17.21", "@ada", "a@b", "ada@localhost", "https://example.com", "256.1.1.1", "1.2.3", "1.2.3.4.5", "v1.2.3.4",
    "DE00370400440532013000", "507f1f77bcf86cd799439011", "50314b8e-9bcf-11e8-97ff-d5a7f4a1b2c3", "00:1A:2b:3c:4d", "dead:beef", "en-US", "face", "+1",
    "+20 %", "100-200", "call me at +49 170 1234567", "visa", "password", "eyJ", "Order Completed", "", " ", 0, 1, 1.5, True, False, None, [], {},
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), VALUES)
def test_a_value_tells_what_it_is_under_any_key(name: str, value: Any) -> None:
    assert name_of("note", value) == name


@pytest.mark.parametrize("value", PLAIN)
def test_a_value_of_no_certain_form_tells_nothing(value: Any) -> None:
    assert name_of("note", value) == ""


@pytest.mark.parametrize("key", ["version", "appVersion", "build", "os_version"])
def test_a_version_of_four_numbers_is_no_address(key: str) -> None:
    assert name_of(key, "14.2.0.1") == ""


def test_the_key_goes_before_the_value_when_its_matcher_does() -> None:
    assert name_of("password", "ada@example.com") == "password"
    assert name_of("email", "4111111111111111") == "credit card"


@pytest.mark.parametrize(
    ("known", "key", "similar"),
    [
        ("email", "e-mail", True),
        ("email", "emails", True),  # 8 of 9
        ("telephone", "telefone", False),  # 10 of 15 pairs: 0.667
        ("first name", "firs_name", True),  # 12 of 15: 0.8
        ("abab", "ababab", True),  # pairs are counted as often as they stand: 6 of 8
        ("aaaa", "aa", False),  # 2 of 4
        ("ab", "abc", False),  # 2 of 3
        ("a", "a", True),
        ("a", "b", False),
        ("email", "", False),
    ],
)
def test_likeness_is_the_dice_coefficient_of_pairs_of_letters_above_seven_tenths(known: str, key: str, similar: bool) -> None:
    assert (classifier([Matcher(known, "red", (known,), similar=True)])(key, 1) is not None) is similar


def test_a_similar_matcher_takes_keys_that_are_spelled_nearly_like_it() -> None:
    judge = classifier([Matcher("employee number", "red", ("employee number", "staffId"), similar=True)])
    assert [key for key in ("employee_number", "employeNumber", "employee_numbr", "staff_id", "staffIds") if judge(key, 1) is None] == []
    assert [key for key in ("employee", "number", "employer", "stuff", "id", "") if judge(key, 1) is not None] == []
    assert classifier([Matcher("employee number", "red", ("employee number",))])("employe_number", 1) is None


def test_a_pattern_meets_strings_and_numbers_anywhere() -> None:
    judge = classifier([Matcher("badge", "red", pattern=r"B-[0-9]{4}|^77[0-9]+$|\btrue\b|é")])
    assert [value for value in ("see B-1234!", 7712, "7712", "café", 77.0) if judge("x", value) is None] == [77.0]
    assert [value for value in ("B-12", 12, True, None, ["B-1234"], "\ud800") if judge("x", value) is not None] == []


def test_many_patterns_are_one_search_with_the_same_answers() -> None:
    patterns = [f"B{number}-[0-9]+" for number in range(50)] + ["^x", "y$", r"\bz\b", "(?i)caf\u00e9"]
    find_all = compile_patterns(patterns)
    for text in ("", "B7-1 and B49-2", "xy", "a z b", "CAF\u00c9", "yx zz"):
        data = text.encode()
        assert sorted(find_all(data)) == [position for position, one in enumerate(patterns) if compile_pattern(one)(data)]


def test_patterns_too_large_for_one_search_are_searched_one_by_one() -> None:
    patterns = [f"({number}[a-z]{{1,30}}){{1,30}}\\p{{L}}" for number in range(100)]
    find_all = compile_patterns(patterns)
    assert find_all("7abc\u00e9".encode()) == [7]


def test_keys_are_remembered_within_bounds() -> None:
    keys = rank_keys([(Matcher("x", keys=("x",)), 1)])
    assert keys["X" + "-" * 100] == 1
    assert len(keys) == 0
    for number in range(10_000):
        assert keys[f"k{number}"] == 0
    assert keys["x"] == 1
    assert len(keys) < 10_000


def test_ones_own_matchers_come_first_and_replace_those_of_the_same_name() -> None:
    own = Matcher("Name", YELLOW, ("customer_title",))
    known = with_standard([own])
    assert known[0] is own
    assert [matcher.name for matcher in known].count("name") == 0
    assert len(known) == len(STANDARD)


def test_the_name_of_a_thing_is_no_name_of_a_person() -> None:
    message = {
        "userId": "ada@example.com",
        "context": {"app": {"name": "Shop"}, "library": {"name": "analytics.js"}, "device": {"name": "Ada's phone"}, "ip": "198.51.100.7"},
        "traits": {"name": "Ada", "a.b": {"phone": "1"}},
        "properties": {"products": [{"name": "Game", "email": "x"}, {"condition": "new"}], "notes": ["ada@example.com", 1, ["+4915112345678"]]},
    }
    found = {(path, matcher.name) for path, _, matcher in classified(message, STANDARD)}
    assert found == {
        ("context.device.name", "name"), ("context.ip", "ip"), ("traits.name", "name"), (r"traits.a\.b.phone", "phone"),
        ("properties.products.email", "email"), ("properties.notes", "email"), ("properties.notes", "phone"),
    }  # fmt: skip
