"""Training of the encoders of words, voice, face and speaker."""
