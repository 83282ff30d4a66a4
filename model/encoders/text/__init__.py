"""Words as vectors: alone, and in their conversation."""
