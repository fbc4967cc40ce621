"""The real router, actors and outboxes under virtual time, a seeded plan of faults, and crashes at any await."""
