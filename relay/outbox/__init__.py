"""What came in and what became of it."""
