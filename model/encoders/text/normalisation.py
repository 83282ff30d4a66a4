"""Words without what a speech recogniser writes by chance: punctuation and case."""

import re
import unicodedata

#: Names the rule in the identity of an encoder; its number changes with the rule.
NORMALISATION = "normalised/1"

_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ＇", "'"))
#: After `_spaced`: letters, digits and combining marks, with apostrophes inside.
_WORD = re.compile(r"[^\s']+(?:'[^\s']+)*")


def normalised(text: str) -> str:
    """The words of a text in lower case, with single spaces between them; empty without words.

    A word is letters and digits of any script with their combining marks, and apostrophes inside:
    "Don’t!" becomes "don't". Everything else separates words: punctuation, hyphens, symbols, emoji,
    also points and commas between digits. Idempotent. Punctuation between words and case never
    change the result.
    """
    # Capitals first: "ı" and "i", or "ß" and "ss", differ in lower case only.
    folded = text.upper().casefold().translate(_APOSTROPHES)
    return " ".join(_WORD.findall(_spaced(folded)))


def _spaced(text: str) -> str:
    """The text with a space for each separator, and without invisible characters."""
    kept: list[str] = []
    in_word = False
    for character in text:
        group = unicodedata.category(character)[0]
        if group == "C" and not character.isspace():
            continue  # joiners and soft hyphens do not end a word
        # A mark without its letter, such as the selector of an emoji's variant, is no word.
        in_word = group in "LN" or (group == "M" and in_word)
        kept.append(character if in_word or character == "'" else " ")
    return "".join(kept)
