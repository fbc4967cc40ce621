"""relay: a self-hosted event router that speaks Segment's language."""

__version__ = "0.1.0"
