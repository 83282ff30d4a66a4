"""Measurements of speed and memory: `gscon-live bench`."""
