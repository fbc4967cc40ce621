"""Reason codes: each has a meaning and an advice, and statuses are told too."""

import pytest

from relay.base.codes import ADVICE, CODES, advice_of, meaning_of


def test_every_code_has_an_advice() -> None:
    assert {code for code in CODES if code not in ADVICE} == {"delivered"}


def test_an_advice_is_a_short_sentence() -> None:
    for code, advice in ADVICE.items():
        assert advice.endswith("."), code
        assert len(advice) <= 140, code


@pytest.mark.parametrize("code", ["404", "418", "503", "599"])
def test_a_plain_status_is_a_code_too(code: str) -> None:
    assert meaning_of(code) == f"the receiver answered {code}"
    assert advice_of(code)


def test_an_unknown_code_tells_itself_and_no_advice() -> None:
    assert meaning_of("spam_trap") == "spam_trap"
    assert advice_of("spam_trap") == ""
    assert advice_of("٤٠٤") == ""
