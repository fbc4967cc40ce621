"""The private JSON API, for commands now and the UI later. Errors are `{"error": {"code", "message"}}`."""
