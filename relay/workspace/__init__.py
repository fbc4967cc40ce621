"""What a user configured: the workspace as an immutable, numbered version."""
