"""Layers and parts that the networks are built of."""
