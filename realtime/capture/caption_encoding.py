"""The text of a caption file, whatever its encoding."""

import codecs

import chardet

#: The encodings of Latin letters. Short texts with few accents are easily taken for other scripts.
_LATIN = ("cp1252", "cp1250", "cp1254")
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
    guess = _detected(data, None)
    if guess is None or guess.lower().startswith("utf-"):
        return guess
    ascii_letters = sum(1 for byte in data if byte < 128 and chr(byte).isalpha())
    if ascii_letters <= sum(1 for byte in data if byte > 127):
        return guess
    # Digits and marks sway the guess. A rarer encoding counts if it is guessed without them, too.
    guesses = {_detected(data, _LATIN), _detected(data.translate(_LETTERS_ONLY), _LATIN)}
    return guesses.pop() if len(guesses) == 1 else _LATIN[0]


def _detected(data: bytes, encodings: tuple[str, ...] | None) -> str | None:
    answer = chardet.detect(
        data,
        encoding_era=chardet.EncodingEra.MODERN_WEB,
        prefer_superset=True,
        include_encodings=encodings,
    )
    return answer["encoding"]
