"""Times in fields: read as the reference reads them."""

import pytest

from relay.kit.moment import iso_utc, unix_ms

MOMENT_MS = 1_768_037_225_250


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("2026-01-10T09:27:05.250Z", MOMENT_MS),
        ("2026-01-10T09:27:05.25", MOMENT_MS),
        ("2026-01-10 10:27:05.250+01:00", MOMENT_MS),
        ("2026-01-10T09:27:05.250+0000", MOMENT_MS),
        ("2026/1/10 9:27:05", 1_768_037_225_000),
        ("2026-01-10", 1_768_003_200_000),
        ("2026-01", 1_767_225_600_000),
        ("20260110T092705Z", 1_768_037_225_000),
        ("Sat, 10 Jan 2026 09:27:05 GMT", 1_768_037_225_000),
        ("Jan 10, 2026", 1_768_003_200_000),
        (MOMENT_MS, MOMENT_MS),
        (float(MOMENT_MS), MOMENT_MS),
        ("1768037225250", MOMENT_MS),
        ("-86400000000", -86_400_000_000),
        ("2026-13-45", None),
        ("2026-01-10T09:27:05+99:99", None),
        ("soon", None),
        ("", None),
        (True, None),
        (1e300, None),
        (-253_402_300_799_999, None),
        (float("nan"), None),
        ("9999999999999999", None),
        (["2026-01-10"], None),
        (None, None),
    ],
)
def test_a_moment_is_read(value: object, ms: int | None) -> None:
    assert unix_ms(value) == ms


@pytest.mark.parametrize("ms", [MOMENT_MS, 0, -1, -62_135_596_800_000, 253_402_300_799_999])
def test_a_moment_is_written_and_read_again(ms: int) -> None:
    assert unix_ms(iso_utc(ms)) == ms


def test_a_moment_is_written_with_milliseconds() -> None:
    assert iso_utc(1_768_037_225_000) == "2026-01-10T09:27:05.000Z"
