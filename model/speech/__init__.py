"""Where in a sound somebody speaks."""
