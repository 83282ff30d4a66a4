"""Guards against hallucinations: words that Whisper writes where nobody spoke."""

from collections.abc import Sequence

import msgspec

from gscon_live.model.encoders.text.normalisation import normalised
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
#: Words that may be repeated: one to three. People do that, as in "no, no, no, no". A recogniser in
#: a loop repeats longer phrases, or writes more words than the time allows.
_UNIT = 3
#: A phrase of so many words that comes twice in a row may be a loop, so that it is heard again.
PHRASE = 2
#: So many of the repeated words are kept.
KEPT = 3
#: Below this mean log probability, such a phrase is refused.
HALLUCINATED_LOG_PROBABILITY = -0.4
#: Words whose mean log probability is so far below that of unsure ones are refused, whatever the
#: probability that nobody spoke. Over breath it is -2.2 and less, in clear speech -0.8 at least.
HOPELESS = 0.5


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
        The text, and None; words that people repeat are kept three times. Or an empty text, and
        the reason.
    """
    reasons: list[str] = []
    kept: list[str] = []
    count = 0
    for piece in pieces:
        reason = _refusal(piece, settings)
        if reason:
            reasons.append(reason)
        elif piece.text.strip():
            count += len(piece.text.split())
            looping = piece.compression > settings.max_compression
            kept.append(_shortened(piece.text) if looping else piece.text.strip())
    text = " ".join(kept)
    if count > MAX_WORDS_PER_SECOND * max(seconds, 0.2):
        return "", "more words than the time allows"
    if text:
        return text, None
    return "", reasons[0] if reasons else "no words recognised"


def repeats(text: str) -> bool:
    """Whether most of a text is one phrase of two words or more, said again and again; or one
    word, more than `KEPT` times."""
    # Numbers that are written together, as in 5,5,5, are several words.
    words = normalised(text).split()
    for unit in range(1, len(words) // 2 + 1):
        least = 2 if unit >= PHRASE else KEPT + 1
        run = 0
        for at in range(unit, len(words)):
            run = run + 1 if words[at] == words[at - unit] else 0
            if run + unit >= max(least * unit, len(words) / 2):
                return True
    return False


def _refusal(piece: Piece, settings: Transcription) -> str | None:
    unsure = piece.log_probability < settings.min_log_probability
    nobody = piece.no_speech > settings.max_no_speech
    if nobody and unsure:
        return "the recogniser heard no speech"
    if piece.log_probability < settings.min_log_probability - HOPELESS:
        return "the recogniser was unsure of every word"
    if nobody and repeats(piece.text):  # over music and noise it is sure of such words
        return "the recogniser repeated itself"
    looping = piece.compression > settings.max_compression
    if looping and (unsure or _shortened(piece.text) == " ".join(piece.text.split())):
        return "the recogniser repeated itself"
    plain = normalised(piece.text)
    if not plain:
        return "no words recognised"
    if plain in HALLUCINATED and (nobody or piece.log_probability < HALLUCINATED_LOG_PROBABILITY):
        return "the recogniser was unsure of a phrase it writes over silence"
    return None


def _plain(words: Sequence[str]) -> list[str]:
    """Words in lower case, letters and digits alone."""
    return ["".join(filter(str.isalnum, word.lower())) for word in words]


def _shortened(text: str) -> str:
    """The text with one to three words that stand more than `KEPT` times in a row kept so often,
    and an ellipsis in place of the others."""
    words = text.split()
    plain = _plain(words)
    kept: list[str] = []
    at = 0
    while at < len(words):
        for unit in range(1, _UNIT + 1):
            first, times = plain[at : at + unit], 1
            while any(first) and plain[at + times * unit : at + (times + 1) * unit] == first:
                times += 1
            if times > KEPT:
                kept += [*words[at : at + KEPT * unit], "…"]
                at += times * unit
                break
        else:
            kept.append(words[at])
            at += 1
    return " ".join(kept)
