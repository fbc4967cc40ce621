"""Everything that leaves relay over HTTP: the client and the address guard."""
