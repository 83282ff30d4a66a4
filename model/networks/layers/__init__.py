"""What the networks are built from."""
