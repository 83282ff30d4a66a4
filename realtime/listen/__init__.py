"""From sound to utterances: voice activity, segmentation, transcription, features."""
