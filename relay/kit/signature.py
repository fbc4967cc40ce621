"""Signatures of webhooks: Segment's X-Signature, and Standard Webhooks (spec of standardwebhooks.com)."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from relay.errors import ConfigError

PREFIX: Final = "whsec_"
KEY_MIN_BYTES: Final = 24
KEY_MAX_BYTES: Final = 64
"""Standard Webhooks, "Signature scheme": 24 to 64 random bytes."""


def segment_signature(secret: str, text: bytes) -> str:
    """Lower-case hex HMAC-SHA1 of the JSON text, the value of `X-Signature`."""
    return hmac.digest(secret.encode(), text, "sha1").hex()


def standard_webhooks(secrets: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,...` per `whsec_` secret, so that keys can be rotated."""
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp_s, body)
    return " ".join(["v1," + base64.b64encode(hmac.digest(signing_key(secret), signed, "sha256")).decode() for secret in secrets])


@lru_cache(maxsize=256)
def signing_key(secret: str) -> bytes:
    """The bytes of a `whsec_` secret; raises ConfigError, whose text never shows the secret."""
    if secret.startswith(("whsk_", "whpk_")):
        raise ConfigError(f"a signing secret starts with {PREFIX}; keys for ed25519 (whsk_, whpk_) are not in this release")
    if not secret.startswith(PREFIX):
        raise ConfigError(f"a signing secret starts with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        # The cause is left out: the traceback of a decoder may show what it was given.
        raise ConfigError(f"what follows {PREFIX} in a signing secret must be base64") from None
    if not KEY_MIN_BYTES <= len(key) <= KEY_MAX_BYTES:
        raise ConfigError(f"a signing secret holds {KEY_MIN_BYTES} to {KEY_MAX_BYTES} bytes, this one {len(key)}")
    return key
