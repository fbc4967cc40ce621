"""What every room speaks: events, codes, ids, time, chance, JSON, secrets, tasks."""
