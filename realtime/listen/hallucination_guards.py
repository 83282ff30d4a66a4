"""Guards against hallucinations: words that Whisper writes where nobody spoke."""

import msgspec

from gscon_live.realtime.pipeline.settings import Transcription

#: More words per second are a hallucination (fast speech has 4 to 5).
MAX_WORDS_PER_SECOND = 9.0
#: Phrases that Whisper models write for silence and music; refused if the model is unsure.
HALLUCINATED = frozenset(
    {
        "thank you",
        "thanks for watching",
        "thank you for watching",
        "thank you very much",
        "please subscribe",
        "subtitles by the amara org community",
        "you",
        "bye",
    }
)
#: Below this mean log probability, such a phrase is refused.
HALLUCINATED_LOG_PROBABILITY = -0.4


class Piece(msgspec.Struct, frozen=True):
    """A piece of recognised text, and how sure the recogniser is.

    `log_probability` is the mean over its tokens; `no_speech` the probability that nobody spoke;
    `compression` the gzip compression ratio of the text (high for repetitions).
    """

    text: str
    log_probability: float
    no_speech: float
    compression: float


def believe(pieces: list[Piece], seconds: float, settings: Transcription) -> tuple[str, str | None]:
    """The text without hallucinations.

    Args:
        pieces: the recognised text, in order.
        seconds: length of the sound.
        settings: the limits.

    Returns:
        The text, and None; or an empty text, and the reason.
    """
    reasons: list[str] = []
    kept: list[str] = []
    for piece in pieces:
        reason = _refusal(piece, settings)
        if reason:
            reasons.append(reason)
        elif piece.text.strip():
            kept.append(piece.text.strip())
    text = " ".join(kept)
    if len(text.split()) > MAX_WORDS_PER_SECOND * max(seconds, 0.2):
        return "", "more words than the time allows"
    if text:
        return text, None
    return "", reasons[0] if reasons else "no words recognised"


def _refusal(piece: Piece, settings: Transcription) -> str | None:
    unsure = piece.log_probability < settings.min_log_probability
    if piece.no_speech > settings.max_no_speech and unsure:
        return "the recogniser heard no speech"
    if piece.compression > settings.max_compression:
        return "the recogniser repeated itself"
    plain = " ".join("".join(c if c.isalnum() else " " for c in piece.text.lower()).split())
    if not plain:
        return "no words recognised"
    if plain in HALLUCINATED and piece.log_probability < HALLUCINATED_LOG_PROBABILITY:
        return "the recogniser was unsure of a phrase it writes over silence"
    return None
