"""Ids and stable keys."""

import base64
import hashlib
import uuid


def new_message_id() -> str:
    """A messageId for an event that came without one."""
    return f"relay-{uuid.uuid4()}"


def delivery_key(source_id: str, message_id: str) -> str:
    """The idempotency key of an event: `msg_` and 26 base32 characters; the same on every attempt and replay.

    Not the messageId itself: the Standard Webhooks spec wants an id without dots that users do not control.
    """
    digest = hashlib.sha256(f"{source_id}\0{message_id}".encode("utf-8", "surrogatepass")).digest()
    return "msg_" + base64.b32encode(digest[:17]).decode()[:26].lower()


def batch_key(keys: list[str]) -> str:
    """The idempotency key of a batch: a hash of the keys of all its events, in their order."""
    return "msg_" + base64.b32encode(hashlib.sha256("\0".join(keys).encode()).digest()[:17]).decode()[:26].lower()


def dedup_hash(source_id: str, message_id: str) -> int:
    """A signed 64-bit hash of (source, messageId), the key of the dedup tables."""
    digest = hashlib.blake2b(f"{source_id}\0{message_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
