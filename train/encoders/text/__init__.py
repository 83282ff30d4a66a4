"""Training of the text encoder."""
