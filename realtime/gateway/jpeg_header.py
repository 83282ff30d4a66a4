"""Reads how large a JPEG is before anybody decodes it, and refuses what could be a bomb.

Only baseline pictures in one scan are taken, as browsers and cameras write them: of a progressive
one, some bytes can cost a pass over all pixels (ITU-T T.81, annexes B and G).
"""

#: Longest side and most pixels of a picture.
MOST_SIDE, MOST_PIXELS = 4096, 1920 * 1200

_START, _SCAN = 0xD8, 0xDA
#: The kinds of frame: baseline (0xC0), and all others. 0xC4, 0xC8 and 0xCC are tables.
_BASELINE = 0xC0
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers without a length: none of them stands before the scan.
_BARE = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})


def size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels.

    Raises:
        ValueError: it is no baseline JPEG in one scan, it is cut off, or it is too large.
    """
    if data[:2] != bytes((0xFF, _START)):
        raise ValueError("no JPEG")
    frame: tuple[int, int, int] | None = None
    position = 2
    while True:
        if position + 4 > len(data) or data[position] != 0xFF:
            raise ValueError("a damaged JPEG")
        kind = data[position + 1]
        if kind == 0xFF:  # a fill byte
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4])
        segment = data[position + 4 : position + 2 + length]
        if kind in _BARE or length < 2 or len(segment) != length - 2:
            raise ValueError("a damaged JPEG")
        if kind == _SCAN:
            break
        if kind in _FRAMES:
            if frame is not None:
                raise ValueError("a JPEG of several frames")
            if kind != _BASELINE:
                raise ValueError("no baseline JPEG")
            frame = _frame(segment)
        position += 2 + length
    if frame is None or not segment or segment[0] != frame[2]:
        raise ValueError("no JPEG in one scan")
    return frame[:2]


def _frame(segment: bytes) -> tuple[int, int, int]:
    """Width, height and number of components."""
    if len(segment) < 6 or segment[0] != 8 or len(segment) != 6 + 3 * segment[5]:
        raise ValueError("a damaged JPEG")
    height, width = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
    if segment[5] not in (1, 3) or not width or not height:
        raise ValueError("neither a grey nor a colour picture")
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise ValueError(f"a picture of {width}x{height} pixels is too large")
    return width, height, segment[5]
