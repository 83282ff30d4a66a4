"""The nearest of the possible names, for the message about an unknown one."""

import difflib
from collections.abc import Iterable, Sequence

#: Similarity from which a name is offered: a letter that is wrong, missing or too many.
_ALIKE = 0.7


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name that is most like a word; None: none is much like it. Case does not count."""
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=_ALIKE)
    return by_lower[near[0]] if near else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """`did you mean 'small'? `, to stand before the remedy, or an empty text."""
    name = nearest(word, names)
    return "" if name is None else f"did you mean {name!r}? "


def nearest_key(key: str, keys: Sequence[str]) -> str | None:
    """The dotted key that is most like another, as a whole or in its last part: for `hangover`, it
    is `segmentation.hangover`."""
    last = key.rpartition(".")[2]
    for candidate in keys:
        if candidate.rpartition(".")[2] == last:
            return candidate
    near = nearest(key, keys)
    if near is not None:
        return near
    lasts = {candidate.rpartition(".")[2]: candidate for candidate in reversed(keys)}
    near = nearest(last, lasts)
    return None if near is None else lasts[near]
