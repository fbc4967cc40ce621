"""The end user's consent by category: a destination that belongs to categories needs all of them (semantics page 6.4)."""

from collections.abc import Mapping

from relay.base.event import Event
from relay.pipeline.compiled import CompiledDestination
from relay.pipeline.decision import Drop

NO_CONSENT = Drop("consent", "FILTERED_BY_END_USER_CONSENT")


def check_consent(event: Event, destination: CompiledDestination) -> Drop | None:
    """Without a consent object everything flows; one that says nothing of a category says no to it."""
    categories = destination.destination.consent_categories
    if not categories:
        return None
    context = event.payload.get("context")
    consent = context.get("consent") if isinstance(context, Mapping) else None
    if consent is None or (consent == {} and not event.payload.get("integrations")):
        return None
    preferences = consent.get("categoryPreferences") if isinstance(consent, Mapping) else None
    if isinstance(preferences, Mapping) and all(preferences.get(category) is True for category in categories):
        return None
    return NO_CONSENT
