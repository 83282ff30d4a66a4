"""Offline training and evaluation of the emotion models."""
