"""Outlets: the events of a session for laboratories, artists, agents and robots."""
