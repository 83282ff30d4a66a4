"""Watching: faces, their tracks, and visual features."""
