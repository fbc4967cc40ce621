"""Follows the log once, runs the source side, offers the results to the actors."""
