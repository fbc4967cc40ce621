"""What a person orders or asks: one function for the console, the management API, signals and commands. Each order leaves an audit row."""
