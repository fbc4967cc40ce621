"""Ids and stable keys."""

import hashlib
import uuid
from functools import lru_cache
from itertools import product
from typing import Final

_PAIRS: Final = tuple(map("".join, product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)))
_SHIFTS: Final = range(126, 0, -10)
"""26 characters of base32 are the first 130 bits, two characters to ten of them."""


def new_message_id() -> str:
    """A messageId for an event that came without one."""
    return f"relay-{uuid.uuid4()}"


def delivery_key(source_id: str, message_id: str) -> str:
    """The idempotency key of an event: `msg_` and 26 base32 characters; the same on every attempt and replay.

    Not the messageId itself: the Standard Webhooks spec wants an id without dots that users do not control.
    """
    digest = hashlib.sha256(f"{source_id}\0{message_id}".encode("utf-8", "surrogatepass")).digest()
    return _key_of(digest)


def batch_key(keys: list[str]) -> str:
    """The idempotency key of a batch: a hash of the keys of all its events, in their order."""
    return _key_of(hashlib.sha256("\0".join(keys).encode()).digest())


def _key_of(digest: bytes) -> str:
    """Made for each attempt, and base64.b32encode takes as long as the rest of it."""
    bits = int.from_bytes(digest[:17], "big")
    return "msg_" + "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def dedup_hash(source_id: str, message_id: str) -> int:
    """A signed 64-bit hash of (source, messageId), the key of the dedup tables."""
    digest = _hash_of_source(source_id).copy()
    digest.update(message_id.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "big", signed=True)


@lru_cache(maxsize=1024)
def _hash_of_source(source_id: str) -> "hashlib.blake2b":
    """What the keys of one source share; to begin with it each time would double their cost."""
    return hashlib.blake2b(f"{source_id}\0".encode("utf-8", "surrogatepass"), digest_size=8)
