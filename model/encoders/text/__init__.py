"""Text features of utterances: alone, and in their conversation."""
