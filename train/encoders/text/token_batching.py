"""Conversations as text encoders are trained on them: in stretches, so many tokens in a step."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def cut(sizes: Sequence[int], most: int, draw: Random) -> list[slice]:
    """Cuts a row of utterances into stretches, at other places each time.

    Args:
        sizes: the length of each utterance in tokens.
        most: how many tokens a stretch may have, unless it is one utterance.
        draw: draws where the first stretch ends.
    """
    if sum(sizes) <= most:
        return [slice(0, len(sizes))]
    stretches, first, length = [], 0, 0
    limit = draw.randint(most // 3, most)
    for place, size in enumerate(sizes):
        if place > first and length + size > limit:
            stretches.append(slice(first, place))
            first, length, limit = place, 0, most
        length += size
    return [*stretches, slice(first, len(sizes))]


def filled(pieces: Sequence[T], size: Callable[[T], int], most: int, draw: Random) -> list[list[T]]:
    """All pieces once, those of alike length together, so that little is padded.

    Args:
        pieces: what is put together.
        size: gives a piece's length in tokens.
        most: how many tokens one batch may have, padding included, unless it is one piece.
        draw: draws the order of pieces of alike length.
    """
    order = list(pieces)
    draw.shuffle(order)
    sized = [(size(piece) + draw.random() * 16, piece) for piece in order]
    batches: list[list[T]] = [[]]
    longest = 0
    for _, piece in sorted(sized, key=lambda pair: pair[0]):
        longest = max(longest, size(piece))
        if batches[-1] and longest * (len(batches[-1]) + 1) > most:
            batches.append([])
            longest = size(piece)
        batches[-1].append(piece)
    return batches
