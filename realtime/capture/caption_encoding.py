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
    web = chardet.EncodingEra.MODERN_WEB
    guess = chardet.detect(data, encoding_era=web, prefer_superset=True)["encoding"]
    if guess is None or guess.lower().startswith("utf-"):
        return guess
    ascii_letters = sum(1 for byte in data if chr(byte).isascii() and chr(byte).isalpha())
    if ascii_letters > sum(1 for byte in data if byte > 127):
        # Digits and marks are the same everywhere and make the guess worse.
        letters = data.translate(_LETTERS_ONLY)
        return chardet.detect(letters, encoding_era=web, include_encodings=_LATIN)["encoding"]
    return guess
