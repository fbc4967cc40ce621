"""What is decided about an event: pure functions of (event, workspace version)."""
