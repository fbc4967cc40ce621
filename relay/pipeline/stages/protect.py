"""What a destination does not get of an event that it takes: sensitive fields."""

from typing import Final

from relay.base.event import Event, changed
from relay.errors import EncryptionError
from relay.kit.encryption import Encrypt
from relay.pipeline.decision import Drop, Rewrite
from relay.pipeline.stages.redact import compile_redaction
from relay.workspace.rules import PrivacyRules

NOT_ENCRYPTED: Final = Drop("privacy", "FAILED_DATA_ENCRYPTION")
NOT_PROTECTED: Final = Drop("privacy", "INTERNAL")


def compile_protection(rules: PrivacyRules, encrypt: Encrypt | None = None) -> Rewrite | None:
    """The destination's privacy rules; an encryption that fails is a Drop with FAILED_DATA_ENCRYPTION. None: no rules. Raises ConfigError.

    An encrypted value is another one with each attempt, and in each explanation; `encrypt`: what takes the place of encryption where two
    runs are compared.
    """
    redact = compile_redaction(rules, encrypt)
    if redact is None:
        return None

    def protect(event: Event) -> Event | Drop:
        payload = event.payload
        try:
            result = redact(payload)
            return event if result is payload else changed(event, result)
        except EncryptionError:
            return NOT_ENCRYPTED
        except Exception:  # fence: what cannot be searched for sensitive fields is not sent
            return NOT_PROTECTED

    return protect
