"""Faces in a picture, and each face as a vector."""
