"""Actors: one per destination, each with its own pace."""
