"""Baselines: published and simple networks that GSCon is compared with."""
