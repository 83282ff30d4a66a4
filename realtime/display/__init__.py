"""Displays for people: terminal, preview window, report page."""
