"""A package, so that its fixtures (browser, shop) end with its last test."""
