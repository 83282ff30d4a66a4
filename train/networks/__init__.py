"""Training of the networks on conversations, real and composed."""
