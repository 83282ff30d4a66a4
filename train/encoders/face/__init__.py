"""Training of the face encoder."""
