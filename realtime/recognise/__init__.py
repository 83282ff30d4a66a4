"""Recognising: fusion of the modalities in the context of the conversation, events."""
