"""The text of a caption file, whatever its encoding."""

import codecs

import chardet

#: The encodings of Latin letters. Short texts with few accents are easily taken for other scripts.
_LATIN = ("Windows-1252", "Windows-1250", "Windows-1254")
#: How many times likelier than the first of them, by far the most frequent, another must be.
_MARGIN = 1.5
#: Bytes of which the encoding is guessed.
_SAMPLE = 200_000
_LETTERS_ONLY = bytes(
    byte if byte > 127 or chr(byte).isalpha() else ord(" ") for byte in range(256)
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes) -> tuple[str, str | None]:
    """The text of a file, and the encoding if it was guessed.

    A mark at the start says the encoding. Without one, the text is UTF-8 if it can be; otherwise
    the encoding is guessed from the letters.

    Raises:
        ValueError: the bytes are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), None
    # Text in UTF-16 is full of zeros, in other encodings there are none but by mistake.
    if data.count(b"\0") * 100 < len(data):
        data = data.replace(b"\0", b"")
        try:
            return data.decode("utf-8"), None
        except UnicodeDecodeError:
            pass
    guess = _guess(data[:_SAMPLE])
    if guess is None:
        raise ValueError("not a text")
    return data.decode(guess, "replace"), guess.lower()


def _guess(data: bytes) -> str | None:
    guess = _likeliest(data)
    encoding = guess[0][0] if guess else None
    if encoding is None or encoding.lower().startswith("utf-"):
        return encoding
    ascii_letters = sum(1 for byte in data if byte < 128 and chr(byte).isalpha())
    if ascii_letters <= sum(1 for byte in data if byte > 127):
        return encoding
    # Digits and marks sway the guess.
    western = _LATIN[0]
    latin = dict(_likeliest(data.translate(_LETTERS_ONLY), _LATIN))
    enough = _MARGIN * latin.get(western, 0.0)
    return next((name for name, confidence in latin.items() if confidence > enough), western)


def _likeliest(
    data: bytes, encodings: tuple[str, ...] | None = None
) -> list[tuple[str | None, float]]:
    """Encodings with the confidence in them, the likeliest first."""
    answers = chardet.detect_all(
        data,
        ignore_threshold=True,
        encoding_era=chardet.EncodingEra.MODERN_WEB,
        prefer_superset=True,
        include_encodings=encodings,
    )
    return [(answer["encoding"], answer["confidence"]) for answer in answers]
