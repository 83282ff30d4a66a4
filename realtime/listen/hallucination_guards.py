"""Guards against words that a recogniser invents where nobody spoke."""

import msgspec

from gscon_live.realtime.pipeline.settings import Transcription

#: Nobody speaks faster than this many words a second (fast speech is 4 to 5).
MAX_WORDS_PER_SECOND = 9.0
#: What Whisper models are known to write over silence and music; refused when they are unsure.
INVENTED = frozenset(
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
#: Below this mean log probability a known invention is not believed.
INVENTED_LOG_PROBABILITY = -0.4


class Piece(msgspec.Struct, frozen=True):
    """A recognised stretch of text and how sure the recogniser was of it.

    `log_probability` is the mean over its tokens; `no_speech` the probability that nobody spoke;
    `compression` the ratio by which gzip shrinks the text (repetition is high).
    """

    text: str
    log_probability: float
    no_speech: float
    compression: float


def believe(pieces: list[Piece], seconds: float, settings: Transcription) -> tuple[str, str | None]:
    """The words that can be believed.

    Args:
        pieces: what the recogniser wrote, in order.
        seconds: length of the sound.
        settings: the limits.

    Returns:
        The text (empty where nothing is believed) and, where it is empty, why.
    """
    reasons: list[str] = []
    kept: list[str] = []
    for piece in pieces:
        reason = _doubt(piece, settings)
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


def _doubt(piece: Piece, settings: Transcription) -> str | None:
    unsure = piece.log_probability < settings.min_log_probability
    if piece.no_speech > settings.max_no_speech and unsure:
        return "the recogniser heard no speech"
    if piece.compression > settings.max_compression:
        return "the recogniser repeated itself"
    plain = " ".join("".join(c if c.isalnum() else " " for c in piece.text.lower()).split())
    if not plain:
        return "no words recognised"
    if plain in INVENTED and piece.log_probability < INVENTED_LOG_PROBABILITY:
        return "the recogniser was unsure of a phrase it writes over silence"
    return None
