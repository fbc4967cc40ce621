"""The configuration as read: TOML with places, and the table of process settings."""
