"""Listening: voice activity, utterances, words, text and audio features."""
