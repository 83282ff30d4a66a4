"""Emotions in conversations, in real time."""
