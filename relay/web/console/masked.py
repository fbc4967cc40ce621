"""What was sent and answered, as a browser may hold it: `[ui] mask` hides what is secret by its name."""

from typing import Any

from relay.base.masking import mask_text


def masked(value: Any, names: tuple[str, ...]) -> Any:
    """Request and answer with every text masked that can hold a name."""
    if isinstance(value, dict):
        return {key: masked(item, names) for key, item in value.items()}
    return mask_text(value, names) if isinstance(value, str) else value
