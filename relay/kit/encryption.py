"""Field encryption: RSA-OAEP with SHA-256, in base64; what is too long for the key by a key of its own (AES-256-GCM). Needs the extra relay[crypto].

A short value is one RSA block in base64. A long one is `relay1:<key>:<sealed>`: `key` is the RSA block, in base64, that holds the 32 bytes of
an AES key; `sealed` is base64 of the nonce (12 bytes), the ciphertext and the tag (16 bytes) of AES-256-GCM without additional data. Both can
be read with OpenSSL alone (README, "Field encryption"). The padding, the AES key and the nonce are drawn for each value, so no two encryptions of
one value are equal: nobody can tell by them whose values are the same, and compare decisions, not values, of two runs.
"""

import base64
import binascii
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from relay.errors import ConfigError, EncryptionError, Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import OAEP
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

PREFIX: Final = "relay1:"
BITS_LEAST: Final = 2048
BITS: Final = (2048, 3072, 4096)

_OAEP_BYTES: Final = 66
"""Of an RSA block that padding with SHA-256 takes: two digests and two bytes (RFC 8017, 7.1.1)."""
_NONCE_BYTES: Final = 12
_NEW_KEY: Final = "make a pair with: relay privacy key --out-public FILE"

Encrypt = Callable[[str], str]


def compile_encryption(public_key: str) -> Encrypt:
    """Text to encrypted text; raises ConfigError when `public_key` is not the PEM of an RSA public key of 2048 bits or more."""
    key, padding = _public_key(public_key), _padding()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    block_max_bytes = key.key_size // 8 - _OAEP_BYTES

    def encrypt(text: str) -> str:
        plain = text.encode("utf-8", "replace")
        try:
            if len(plain) <= block_max_bytes:
                return base64.b64encode(key.encrypt(plain, padding)).decode()
            own, nonce = AESGCM.generate_key(256), os.urandom(_NONCE_BYTES)
            sealed = nonce + AESGCM(own).encrypt(nonce, plain, None)
            return f"{PREFIX}{base64.b64encode(key.encrypt(own, padding)).decode()}:{base64.b64encode(sealed).decode()}"
        except Exception as error:  # fence: whatever the library says, the value must not go on in the clear
            raise EncryptionError from error

    return encrypt


def decrypt(value: str, private_key: str) -> str:
    """The text of a value that `compile_encryption` made; raises EncryptionError, whose message tells nothing of the key or the text."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, padding = _private_key(private_key), _padding()
    block, _, sealed = value.removeprefix(PREFIX).partition(":")
    try:
        opened = key.decrypt(base64.b64decode(block, validate=True), padding)
        if value.startswith(PREFIX):
            raw = base64.b64decode(sealed, validate=True)
            opened = AESGCM(opened).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        return opened.decode()
    except (binascii.Error, ValueError, InvalidTag) as error:
        raise EncryptionError("it was not encrypted for this key, or is damaged") from error


def new_pair(bits: int) -> tuple[str, str]:
    """A new RSA key pair as PEM: the private key (PKCS 8, not encrypted) and the public one."""
    rsa, serialization = _library()
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def _public_key(pem: str) -> "RSAPublicKey":
    rsa, serialization = _library()
    if "PRIVATE KEY" in pem:
        remedy = "put the PUBLIC KEY here, and take the private one out of the configuration: whoever can read this file can read what it protects"
        raise ConfigError([Problem("'public_key' holds a private key", None, remedy)])
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except Exception as error:  # the library raises errors of several kinds, with texts about ASN.1
        raise ConfigError([Problem("'public_key' is no public key in PEM form", None, _NEW_KEY)]) from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ConfigError([Problem("'public_key' is no RSA key", None, _NEW_KEY)])
    if key.key_size < BITS_LEAST:
        raise ConfigError([Problem(f"'public_key' has {key.key_size} bits, fewer than {BITS_LEAST}", None, _NEW_KEY)])
    found: RSAPublicKey = key
    return found


def _private_key(pem: str) -> "RSAPrivateKey":
    rsa, serialization = _library()
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except Exception as error:  # the library raises errors of several kinds
        raise EncryptionError("the key is no private key in PEM form, or has a passphrase") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise EncryptionError("the key is no RSA key")
    found: RSAPrivateKey = key
    return found


def _padding() -> "OAEP":
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def _library() -> Any:
    """The modules for RSA keys; ConfigError when the extra is missing."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ModuleNotFoundError as error:
        raise ConfigError(
            [Problem("encryption needs the library 'cryptography', which is not installed", None, "pip install 'relay[crypto]'")]
        ) from error
    return rsa, serialization
