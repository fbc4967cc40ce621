"""Field encryption: what relay makes, relay and OpenSSL can read."""

import base64
import subprocess
from pathlib import Path

import pytest

from relay.errors import EncryptionError
from relay.kit.encryption import PREFIX, compile_encryption, decrypt, new_pair

PRIVATE, PUBLIC = new_pair(2048)
ENCRYPT = compile_encryption(PUBLIC)
TEXTS = ["", "a", "ada@example.com", "é" * 95, "x" * 190, "x" * 191, "é" * 96, '{"a":[1,2]}' * 3_000, "null"]
OAEP = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]


def openssl(*words: str, given: bytes) -> bytes:
    return subprocess.run(["openssl", *words], input=given, capture_output=True, check=True).stdout


def open_block(block: str, key: Path) -> bytes:
    options = [word for option in OAEP for word in ("-pkeyopt", option)]
    return openssl("pkeyutl", "-decrypt", "-inkey", str(key), *options, given=base64.b64decode(block))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "private.pem"
    path.write_text(PRIVATE)
    return path


@pytest.mark.parametrize("text", TEXTS, ids=len)
def test_what_was_encrypted_comes_back(text: str) -> None:
    value = ENCRYPT(text)
    assert decrypt(value, PRIVATE) == text
    assert value.startswith(PREFIX) is (len(text.encode()) > 190)
    assert value.isascii()


def test_no_two_values_are_equal() -> None:
    for text in ("a", "a" * 1_000):
        assert len({ENCRYPT(text) for _ in range(10)}) == 10


@pytest.mark.parametrize("text", ["ada@example.com", "é" * 95])
def test_openssl_reads_a_short_value(text: str, key: Path) -> None:
    assert open_block(ENCRYPT(text), key).decode() == text


def test_openssl_reads_a_long_value_by_the_recipe_of_the_guide(key: Path) -> None:
    text = '{"street":"Königsallee 1","city":"Düsseldorf"}' * 50
    _, block, sealed = ENCRYPT(text).split(":")
    own, raw = open_block(block, key), base64.b64decode(sealed)
    counter = raw[:12] + b"\0\0\0\2"  # GCM counts from here; the last 16 bytes are the tag
    assert openssl("enc", "-d", "-aes-256-ctr", "-K", own.hex(), "-iv", counter.hex(), given=raw[12:-16]).decode() == text


def test_a_larger_key_takes_longer_texts() -> None:
    private, public = new_pair(3072)
    value = compile_encryption(public)("x" * 318)
    assert not value.startswith(PREFIX)
    assert decrypt(value, private) == "x" * 318


def test_another_key_or_a_changed_value_opens_nothing() -> None:
    long = ENCRYPT("x" * 500)
    changed = [long[:-8] + "AAAAAAA=", long[:-40], PREFIX, "AAAA", "no base64!", "", ENCRYPT("a")[:-4]]
    for value in changed:
        with pytest.raises(EncryptionError, match="was not encrypted for this key"):
            decrypt(value, PRIVATE)
    with pytest.raises(EncryptionError, match="was not encrypted for this key"):
        decrypt(ENCRYPT("a"), new_pair(2048)[0])


@pytest.mark.parametrize("pem", ["", "x", PUBLIC, PRIVATE[:200]])
def test_what_is_no_private_key_is_not_repeated(pem: str) -> None:
    with pytest.raises(EncryptionError) as caught:
        decrypt(ENCRYPT("a"), pem)
    assert "no private key" in caught.value.message
    assert len(caught.value.message) < 80
