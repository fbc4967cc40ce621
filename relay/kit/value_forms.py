"""Values that tell by their form what they are: a card number, an e-mail address, an IP address. Pure.

Only forms that other values hardly ever have, checked as far as they can be (Luhn and issuer, mod 97, number ranges), and only when the
whole value is of that form. One expression finds the candidates, in time linear in the value's length; the check decides.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import Final

CARD: Final = "card"
EMAIL: Final = "email"
IBAN: Final = "iban"
IP: Final = "ip"
MAC: Final = "mac"
PHONE: Final = "phone"
SSN: Final = "ssn"
TOKEN: Final = "token"  # noqa: S105 (the name of a form)

CARD_LEAST: Final = 10**13
"""No smaller number is one of a card."""

_SHAPES: Final[Mapping[str, str]] = {
    TOKEN: r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*",
    SSN: r"[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} )[0-9]{4}",
    PHONE: r"\+[0-9][0-9 ()./-]{6,24}|(?:\+?1[ .-]?)?(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}",
    CARD: r"[0-9](?:[ -]?[0-9]){12,18}",
    IBAN: r"[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}",
    MAC: r"[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}",
    IP: r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]+(?:[0-9.]{7,15})?(?:%[A-Za-z0-9]{1,16})?",
    EMAIL: r"(?:mailto:)?[^\s@/:<>\"]{1,64}@[^\s@/:]{1,190}\.[^\W\d_]{2,24}",
}
"""Told apart by their first characters, so that other texts are done with at once. JSON Web Tokens for `token`: other tokens have no form."""
may_begin: Final = re.compile(r"\s{0,8}(?:[0-9+(:]|[A-Fa-f][0-9A-Fa-f]{0,3}[:.-]|[A-Za-z]{2}[0-9]|eyJ)").match
"""How values of every form but `email` begin. Most texts are told apart by this, and by having no @, in a third of the time."""
_ISSUERS: Final = re.compile(
    r"4(?:\d{15}|\d{18})|5[1-5]\d{14}|2(?:2(?:2[1-9]|[3-9]\d)|[3-6]\d\d|7(?:[01]\d|20))\d{12}|3[47]\d{13}|3(?:0[0-59]|[689]\d)\d{11}"
    r"|(?:6011|65\d\d|64[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"
)
"""Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Maestro: the numbers that they give out."""
_NOT_DIGITS: Final = re.compile("[^0-9]")
_VERSION: Final = re.compile(r"(?:version|build|release)$", re.IGNORECASE)
"""Keys of values like 14.2.0.1 that are no address."""


def find_candidate(wanted: Iterable[str]) -> Callable[[str], re.Match[str] | None]:
    """A function of a value (as text) to a match when it looks like one of the wanted forms; `form_of` judges it."""
    kept = set(wanted)
    shapes = "|".join(rf"(?P<{form}>{shape})" for form, shape in _SHAPES.items() if form in kept)
    return re.compile(rf"\s{{0,8}}(?:{shapes or '(?!)'})\s{{0,8}}").fullmatch


def form_of(key: str, candidate: re.Match[str]) -> str:
    """The form that a candidate has, the value of `key`; empty: none."""
    form = candidate.lastgroup
    if form is None or not _CHECKS[form](candidate[form]) or (form == IP and _VERSION.search(key)):
        return ""
    return form


def _is_card(text: str) -> bool:
    digits = _NOT_DIGITS.sub("", text)
    if _ISSUERS.fullmatch(digits) is None:
        return False
    doubled = [int(digit) * 2 for digit in digits[-2::-2]]  # Luhn: every second digit from the right counts twice
    return (sum(map(int, digits[::-2])) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "").upper()
    return 15 <= len(plain) <= 34 and int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _is_ssn(text: str) -> bool:
    area, group, serial = text[:3], text[4:6], text[7:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_phone(text: str) -> bool:
    return 8 <= len(_NOT_DIGITS.sub("", text)) <= 15


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _holds(_: str) -> bool:
    return True


_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    TOKEN: _holds, SSN: _is_ssn, PHONE: _is_phone, CARD: _is_card, IBAN: _is_iban, MAC: _holds, IP: _is_ip, EMAIL: _holds,
}  # fmt: skip
