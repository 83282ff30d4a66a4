"""Audio features of utterances."""
