"""The words and the speaker of a caption cue, without markup, labels and names of sounds."""

import html
import re
from collections.abc import Iterable

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</>|<\d+:[\d:.]+>")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^<>]+?)\s*>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}")
_BREAK = re.compile(r"\\[Nn]|\r\n|\r|\n")
_DASH = re.compile(r"^\s*[-–—‐]+\s*(?=\S)")
_LABEL = re.compile(r"^([^:\[\]()<>/]{1,40}):\s+(?=\S)")
_BRACKET_LABEL = re.compile(r"^\[([^\[\]]{1,40})\]\s*:?\s*(?=\S)")
_SOUND = re.compile(r"\[[^\[\]]*\]|♪[^♪]*(?:♪|$)|♫[^♫]*(?:♫|$)|[♪♫♩♬]")
_ASIDE = re.compile(r"\([^()]*\)|\*[^*]*\*")
_WORD = re.compile(r"\w")
_NAME_WORD = re.compile(r"[^\W\d_][\w'’.\-]*|\d{1,3}")

#: Words that in brackets name a sound and no person.
_SOUND_WORDS = """
    applause applauds beep beeping bell bells bleep chatter cheering cheers chuckle chuckles
    chuckling clapping clears coughing coughs cries crosstalk crowd crying door footsteps gasp
    gasps giggles giggling groans grunts gunshot humming inaudible indistinct instrumental
    knocking laugh laughing laughs laughter music noise pause phone playing ringing screaming
    screams shouting sigh sighing sighs silence singing siren sniffles sobbing sobs sound static
    theme thunder unintelligible whispering whispers whistling yelling yells
"""
_SOUNDS = frozenset(_SOUND_WORDS.split())


def parse(payload: str, speaker: str | None = None) -> tuple[str, str | None]:
    """The words and the speaker of a cue.

    Args:
        payload: the cue as the file has it, with tags, entities, overrides and line breaks.
        speaker: the speaker's name, if the format has a field for it.

    Returns:
        The words on one line, empty for a cue of only sounds or markup; and the speaker, None if
        the cue names nobody or several speakers.
    """
    if _DRAWING.search(payload):
        return "", speaker
    voices = [_one_line(html.unescape(name)) for name in _VOICE.findall(payload)]
    bare = _OVERRIDE.sub("", _TAG.sub("", payload)).replace("\\h", " ")
    lines = [html.unescape(line) for line in _BREAK.split(bare)]
    words: list[str] = []
    names: list[str] = []
    for line in lines:
        text = _DASH.sub("", _one_line(line))
        name, text = _label(text)
        names += [name] if name else []
        words.append(text)
    text = _one_line(_SOUND.sub(" ", " ".join(words)))
    if not _WORD.search(_ASIDE.sub(" ", text)):
        return "", _only(voices or names) or speaker
    return text, speaker or _only(voices or names)


def _label(text: str) -> tuple[str | None, str]:
    """Splits `NAME: words` and `[Name] words`, where the label looks like a name."""
    for pattern in (_LABEL, _BRACKET_LABEL):
        if (label := pattern.match(text)) and _is_name(label[1]):
            return _one_line(label[1]), text[label.end() :]
    return None, text


def _is_name(label: str) -> bool:
    words = label.split()
    if not 1 <= len(words) <= 3 or not words[0][0].isupper():
        return False
    return all(_NAME_WORD.fullmatch(word) for word in words) and not any(
        word.lower() in _SOUNDS for word in words
    )


def _only(names: Iterable[str]) -> str | None:
    different = list(dict.fromkeys(name for name in names if name))
    return different[0] if len(different) == 1 else None


def _one_line(text: str) -> str:
    return " ".join(text.split())
