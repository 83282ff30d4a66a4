"""Fusion of the modalities in the context of the conversation; gives the public events."""
