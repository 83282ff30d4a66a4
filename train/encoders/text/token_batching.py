"""Batches by number of tokens: conversations are cut into stretches."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def random_stretches(sizes: Sequence[int], most: int, draw: Random) -> list[slice]:
    """Cuts a dialogue into stretches of utterances, at random places.

    Args:
        sizes: the length of each utterance in tokens.
        most: the maximum of tokens in a stretch; a longer utterance is a stretch of its own.
        draw: draws the end of the first stretch.
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


def token_batches(
    pieces: Sequence[T], size: Callable[[T], int], most: int, draw: Random
) -> list[list[T]]:
    """Batches of all pieces; pieces of similar length share a batch, which saves padding.

    Args:
        pieces: the pieces.
        size: gives a piece's length in tokens.
        most: the maximum of tokens in a batch, padding included; a longer piece is a batch.
        draw: draws the order of pieces of similar length.
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
