"""The named statements of queries.sql."""

import re
from importlib import resources


def load_statements() -> dict[str, str]:
    """Statement text by name, comments removed."""
    text = resources.files(__package__).joinpath("queries.sql").read_text()
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: re.sub(r"^--.*$", "", body, flags=re.MULTILINE).strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


SQL = load_statements()
