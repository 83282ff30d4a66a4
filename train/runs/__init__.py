"""Folders of runs, resumable trainings, and provenance."""
