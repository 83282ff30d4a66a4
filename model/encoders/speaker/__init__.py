"""Speaker clustering."""
