"""Displays for people: terminal, report page."""
