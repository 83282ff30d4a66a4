"""The lines of a cue without tags, entities, overrides and control characters."""

import html
import re
import unicodedata

import msgspec

_TAG = re.compile(r"<([^<>]*)>")
_BRACES = re.compile(r"\{([^{}]*)\}")
_DRAWING = re.compile(r"\\p[1-9]")
_STAMP = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}\.\d{1,9})")
_BREAK = re.compile(r"\\[Nn]|\r\n|\r|\n")
#: `html.unescape` stops at numbers of more than 4,300 digits.
_LONG_NUMBER = re.compile(r"&#(?:\d{8,}|[xX][0-9a-fA-F]{8,});?")


class Line(msgspec.Struct):
    """A line of a cue, on which the words of one `<v>` tag are a line of their own.

    `voice` is the name in the tag, None without one; `stamp` is the time in seconds that stands
    before the first word, None without one.
    """

    words: str
    voice: str | None = None
    stamp: float | None = None


def read_lines(payload: str) -> list[Line]:
    """The lines of a cue that have text.

    Args:
        payload: the cue as the file has it, with tags, entities, overrides and line breaks.
    """
    if any(_DRAWING.search(inner) for inner in _BRACES.findall(payload)):
        return []
    bare = _BRACES.sub(_without_override, payload).replace("\\h", " ")
    lines: list[Line] = []
    voice: str | None = None
    for raw in _BREAK.split(bare):
        pieces: list[str] = []
        stamp: float | None = None
        position = 0
        for tag in _TAG.finditer(raw):
            inner = tag[1]
            if not _is_tag(inner):
                continue
            pieces.append(raw[position : tag.start()])
            position = tag.end()
            if stated := _STAMP.fullmatch(inner):
                if not any(piece.strip() for piece in pieces):
                    stamp = _stamp_seconds(stated)
            elif (changed := _voice(inner, voice)) != voice:
                _add(lines, pieces, voice, stamp)
                pieces, stamp, voice = [], None, changed
        pieces.append(raw[position:])
        _add(lines, pieces, voice, stamp)
    return lines


def plain(text: str) -> str:
    """Text on one line, without control characters and half surrogates."""
    if text.isprintable():
        return " ".join(text.split())
    kept = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char) not in ("Cc", "Cs")
    )
    return " ".join(kept.split())


def _add(lines: list[Line], pieces: list[str], voice: str | None, stamp: float | None) -> None:
    words = _unescaped("".join(pieces))
    if words:
        lines.append(Line(words, voice, stamp))


def _unescaped(text: str) -> str:
    return plain(html.unescape(_LONG_NUMBER.sub("\ufffd", text)) if "&" in text else text)


def _without_override(braces: re.Match[str]) -> str:
    return "" if braces[1].startswith("\\") else braces[0]


def _is_tag(inner: str) -> bool:
    first = inner[:1]
    if first.isdigit():
        return _STAMP.fullmatch(inner) is not None
    return inner == "/" or (first.isascii() and first.isalpha()) or _is_closing(inner)


def _is_closing(inner: str) -> bool:
    return inner[:1] == "/" and inner[1:2].isascii() and inner[1:2].isalpha()


def _voice(inner: str, voice: str | None) -> str | None:
    """The voice after a tag: `v NAME` and `v.class NAME` begin one, `/v` ends it."""
    if inner.strip() == "/v":
        return None
    if inner[:1] == "v" and (inner[1:2] == "." or inner[1:2].isspace()):
        parts = inner.split(None, 1)
        return (_unescaped(parts[1]) or None) if len(parts) == 2 else None
    return voice


def _stamp_seconds(stamp: re.Match[str]) -> float:
    return int(stamp[1] or 0) * 3600 + int(stamp[2]) * 60 + float(stamp[3])
