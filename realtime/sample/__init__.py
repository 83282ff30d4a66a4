"""The sample conversation of the project, and the script that makes it."""

from pathlib import Path

#: A short conversation with two speakers, a face and a caption track.
CONVERSATION = Path(__file__).parent / "conversation.mkv"
