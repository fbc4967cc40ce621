"""Alerts: rules over counts and states, one alert per cause, told as events of the source `relay`."""
