"""The voice on corpora that its encoder never heard, cut as the live pipeline cuts it."""

from gscon_live.train.encoders.voice.left_out import LeftOutVoices
from gscon_live.train.encoders.voice.voice_data import READERS
from gscon_live.train.scoring.stranger_scores import StrangerScores


def voice_strangers(left_out: LeftOutVoices) -> dict[str, dict[str, StrangerScores]]:
    """Scores of each corpus, left out, and of neutral readers: by how well the speaker is known."""
    titles = {name: f"voice: {name}" for name in left_out.sets}
    titles[READERS] = f"voice: neutral readers ({READERS})"
    return {titles[name]: rows for name, rows in left_out.scores().items()}
