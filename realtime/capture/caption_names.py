"""Names of speakers in captions: which labels before the words are names, and which are not."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

import msgspec

from gscon_live.realtime.capture.caption_markup import plain

#: Marks inside names; joiners belong to the letters of some scripts.
_NAME_MARKS = "'’`.-_·・#\u200c\u200d"
#: Letters and words of a name at most.
LONGEST_NAME, _MOST_WORDS = 40, 4

_COLON = r"(?::(?:\s+|$)|：\s*)"
_ASIDE = r"(?:\s*[(\[（]([^()\[\]（）]{1,30})[)\]）])?\s*"
_LABEL = re.compile(rf"([^:：()\[\]（）<>/]{{1,{LONGEST_NAME}}}){_ASIDE}{_COLON}")
_BRACKETS = re.compile(rf"\[([^\[\]]{{1,{LONGEST_NAME}}})\]\s*(?:[:：]\s*)?(?=\S)")
_BRACKETS_COLON = re.compile(r"\[[^\[\]]*\]\s*[:：]")
_TITLE = re.compile(r"(?:dr|mr|mrs|ms|prof|sir|lady|captain|officer|agent)\.? ", re.IGNORECASE)
#: Pronouns, and where a voice is: off screen, on the telephone.
_ABOUT_A_SPEAKER = re.compile(
    r"v\.?\s?o\.?|o\.?\s?s\.?|o\.?\s?c\.?|cont['’]?d\.?|off|off[- ]?screen|voice[- ]?over|"
    r"on (?:the )?(?:phone|radio|tv)|(?:he|she|they|ze|xe|it)(?:\s*/\s*[a-z]{2,7}){1,2}",
    re.IGNORECASE,
)
#: Labels that recur and name nobody.
_EMPTY_LABELS = """
    address, answer, attention, attn, breaking news, captioned by, captions, captions by, caution,
    cause of death, chapter, conclusion, correction, danger, date, directed by, email, episode,
    example, fact, finally, first, for example, fun fact, fyi, hint, important, in conclusion,
    in short, ingredients, language, location, kind, listen, look, narrated by, nb, note, notes,
    part, phone, place, price, pro tip, problem, produced by, ps, question, re, reason, remember,
    reminder, result, rule, second, solution, spoiler, step, subject, subtitles, subtitles by,
    third, time, tip, title, total, translated by, translation, update, warning, website, written by
"""
_NO_NAMES = frozenset(" ".join(_EMPTY_LABELS.split()).split(", "))
#: Words of sentences, of which no name consists.
_SENTENCE_WORDS = """
    and are because but he her his how i if is it my no or our please she so that their then they
    this was we well what when where why yes you your
"""
_WORDS_OF_SENTENCES = frozenset(_SENTENCE_WORDS.split())

#: Words that in brackets name a sound and no person.
_SOUND_WORDS = """
    applause applauds beep beeping bell bells bleep chatter cheering cheers chuckle chuckles
    chuckling clapping clears coughing coughs cries crosstalk crowd crying door engine footsteps
    foreign gasp gasps giggles giggling groans grunts gunshot gunshots humming inaudible indistinct
    instrumental knocking laugh laughing laughs laughter music noise pause phone playing revving
    ringing rings screaming screams shouting sigh sighing sighs silence singing siren sirens
    sniffles sobbing sobs song sound static theme thunder unintelligible whispering whispers
    whistling yelling yells
"""
SOUNDS = frozenset(_SOUND_WORDS.split())


class Label(msgspec.Struct, frozen=True):
    """What may be a speaker's name before words.

    `rest` are the words after it; `is_sure` says that its form alone makes it a name.
    """

    name: str
    rest: str
    is_sure: bool

    @property
    def key(self) -> str:
        """The name without differences of case."""
        return self.name.casefold()


class Names:
    """The names of a file: those that are sure or recur. Each has a single spelling, the first.

    Args:
        labels: for each cue, the labels of its lines.
        stated: names from tags and fields of the format.
    """

    def __init__(self, labels: Iterable[list[Label]], stated: Iterable[str] = ()) -> None:
        self._spelling: dict[str, str] = {}
        for name in stated:
            self._spelling.setdefault(name.casefold(), name)
        counts: Counter[str] = Counter()
        spelling: dict[str, str] = {}
        accepted: set[str] = set()
        for cue in labels:
            # A line that ends with a colon, such as "He said:", counts only if its form is sure.
            keys = {label.key for label in cue if label.rest}
            counts.update(keys)
            accepted |= {label.key for label in cue if label.is_sure}
            if len(keys) > 1:  # two labels in a cue: a dialogue
                accepted |= keys
            for label in cue:
                spelling.setdefault(label.key, label.name)
        accepted |= {key for key, count in counts.items() if count > 1}
        for key, name in spelling.items():
            if key in accepted:
                self._spelling.setdefault(key, name)

    def get(self, label: Label | None) -> str | None:
        """The speaker that a label names; None if it names nobody."""
        return None if label is None else self._spelling.get(label.key)

    def spelled(self, name: str | None) -> str | None:
        """A stated name in its single spelling."""
        return None if name is None else self._spelling.get(name.casefold(), name)


def read_label(text: str, *, after_marker: bool = False) -> Label | None:
    """The label at the start of a line, if its form allows a name: `NAME: `, `Name (V.O.): `,
    `王芳：` or `[Name] `.

    Args:
        text: a line of a cue without markup.
        after_marker: whether `>>`, the sign of another speaker, stands before it.
    """
    if match := _LABEL.match(text):
        name, rest = _tidy(match[1]), text[match.end() :]
        if not _may_be_name(name):
            return None
        aside = match[2]
        is_sure = (
            after_marker
            or bool(aside and _ABOUT_A_SPEAKER.fullmatch(aside.strip()))
            or (len(name) > 1 and name.isupper() and not rest.isupper())
        )
        return Label(name, rest, is_sure)
    if match := _BRACKETS.match(text):
        name, rest = _tidy(match[1]), text[match.end() :]
        if not _may_be_name(name) or _may_be_sound(name):
            return None
        titled = _TITLE.match(name) is not None
        with_colon = _BRACKETS_COLON.match(text) is not None
        return Label(name, rest, titled or (with_colon and name.isupper()))
    return None


def stated_name(text: str | None) -> str | None:
    """A name from a tag or field of the format; None for what is no name, such as a sentence."""
    name = _tidy(plain(text or ""))
    if not name or not _has_form_of_name(name):
        return None
    # A name of several words begins with a capital letter, or ends with a number.
    return None if " " in name and name[0].islower() and not name[-1].isdigit() else name


def _tidy(text: str) -> str:
    """Without marks of direction and white space around it."""
    return text.strip("\u200e\u200f\u202a\u202b\u202c\ufeff \t#*-–—")


def _may_be_name(name: str) -> bool:
    if not name or not _has_form_of_name(name) or name[0].islower():
        return False
    key = name.casefold()
    without_number = key.rstrip(" 0123456789")
    return not (
        {key, without_number} & _NO_NAMES or set(key.split()) & (SOUNDS | _WORDS_OF_SENTENCES)
    )


def _has_form_of_name(name: str) -> bool:
    words = name.split()
    return (
        len(name) <= LONGEST_NAME
        and 1 <= len(words) <= _MOST_WORDS
        and any(char.isalpha() for char in name)
        and all(_is_name_word(word) for word in words)
    )


def _is_name_word(word: str) -> bool:
    if word in ("&", "+"):
        return True
    letters = all(unicodedata.category(char)[0] in "LMN" or char in _NAME_MARKS for char in word)
    # A full stop ends abbreviations, such as "Dr.", and sentences.
    return letters and not (word.endswith(".") and (len(word) > 5 or word[0].islower()))


def _may_be_sound(name: str) -> bool:
    words = name.casefold().split()
    return any(word in SOUNDS or word.endswith(("ing", "ly")) for word in words) or (
        words[0] in ("in", "speaks", "speaking", "no")
    )
