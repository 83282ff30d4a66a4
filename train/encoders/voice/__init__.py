"""Training of the voice encoder."""
