"""Personal data that a receiver takes hashed only. Pure."""

import hashlib
import re

_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")


def is_hashed(text: str) -> bool:
    """Whether `text` looks like a SHA-256 in hex: it came hashed, and is not hashed again."""
    return _SHA256_HEX.fullmatch(text) is not None


def sha256_hex(text: str) -> str:
    """The SHA-256 of `text` (cleaned by the caller) in lower-case hex; what is hashed already stays, and blank text gives an empty one."""
    if not text.strip():
        return ""
    return text if is_hashed(text) else hashlib.sha256(text.encode()).hexdigest()
