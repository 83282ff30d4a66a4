"""Who says what in a cue: its lines as turns of speakers."""

import re

import msgspec

from gscon_live.realtime.capture.caption_markup import Line
from gscon_live.realtime.capture.caption_names import SOUNDS, Label, Names, read_label, stated_name

_MARKER = re.compile(r"(?:>|＞){2,3}")
_DASH = re.compile(r"\s*(?:[-–—‐‑]+|―)\s*(?=\S)")
#: A second dash on the line of the first one, after the end of a sentence.
_INNER_DASH = re.compile(r"(?<=[.?!…♪\"”])\s[-–—‐]+\s?(?=\S)")
_SOUND = re.compile(r"\[[^\[\]]*\]|【[^【】]*】|♪[^♪]*(?:♪|$)|♫[^♫]*(?:♫|$)|[♪♫♩♬]")
_ASIDE = re.compile(r"\([^()]*\)|（[^（）]*）|\*[^*]*\*")
_WORD = re.compile(r"[^\W_]")


class Piece(msgspec.Struct, frozen=True):
    """A part of a cue that one person says.

    `begins` is true where a sign says that another person speaks; `label` may be a name.
    """

    text: str
    voice: str | None
    begins: bool
    label: Label | None


class Turn(msgspec.Struct):
    """What one speaker says in a cue; `speaker` is None if nothing names them."""

    speaker: str | None
    text: str


def pieces_of(lines: list[Line]) -> list[Piece]:
    """The parts of a cue, split at `>>` and at dashes of dialogue."""
    dashed = sum(_DASH.match(line.words) is not None for line in lines)
    pieces: list[Piece] = []
    for number, line in enumerate(lines):
        marked = _MARKER.split(line.words)
        for index, part in enumerate(marked):
            text = part.strip()
            dash = _DASH.match(text)
            sentences = [text]
            if dash:
                text = text[dash.end() :]
                sentences = _INNER_DASH.split(text)
            begins = index > 0 or bool(dash and (dashed > 1 or number > 0))
            for place, sentence in enumerate(sentences):
                label = read_label(sentence, after_marker=index > 0)
                pieces.append(Piece(sentence, line.voice, begins or place > 0, label))
    return [piece for piece in pieces if piece.text]


def turns_of(pieces: list[Piece], names: Names, speaker: str | None = None) -> list[Turn]:
    """The turns of a cue that have words, in order.

    Args:
        pieces: the parts of the cue.
        names: the names of the file.
        speaker: the name in the format's own field, for a cue of a single turn.
    """
    turns: list[Turn] = []
    voice: str | None = None
    for piece in pieces:
        name, text = names.spelled(stated_name(piece.voice)), piece.text
        if piece.label is not None and (labelled := names.get(piece.label)):
            name, text = labelled, piece.label.rest
        goes_on = (
            bool(turns)
            and not piece.begins
            and piece.voice == voice
            and name in (None, turns[-1].speaker)
        )
        if not goes_on:
            turns.append(Turn(name, text))
        else:
            turns[-1].text += " " + text
        voice = piece.voice
    spoken: list[Turn] = []
    for turn in turns:
        turn.text = _words(turn.text)
        if not turn.text:
            continue
        if spoken and turn.speaker is not None and spoken[-1].speaker == turn.speaker:
            spoken[-1].text += " " + turn.text
        else:
            spoken.append(turn)
    if len(spoken) == 1 and (stated := stated_name(speaker)):
        spoken[0].speaker = names.spelled(stated)
    return spoken


def _words(text: str) -> str:
    """The words of a turn without names of sounds; empty if nothing else is in it."""
    text = _ASIDE.sub(_without_sound, _SOUND.sub(" ", text))
    text = " ".join(text.split())
    return text if _WORD.search(_ASIDE.sub(" ", text)) else ""


def _without_sound(aside: re.Match[str]) -> str:
    """An aside in parentheses, or nothing if it is the name of a sound."""
    inner = aside[0][1:-1]
    is_sound = bool({word.strip(".,!") for word in inner.casefold().split()} & SOUNDS)
    return " " if is_sound and aside[0][0] != "*" else aside[0]
