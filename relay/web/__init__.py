"""HTTP: turns requests into calls and values into JSON, decides nothing. Three faces that do not know each other, on two listeners."""
