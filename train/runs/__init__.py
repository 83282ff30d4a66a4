"""Folders of trainings, and where and on what they were made."""
