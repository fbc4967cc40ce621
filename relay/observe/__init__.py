"""What relay reports about itself: facts, tallies, logs, metrics."""
