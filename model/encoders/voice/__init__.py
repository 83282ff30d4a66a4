"""The sound of an utterance as a vector."""
