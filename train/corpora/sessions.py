"""The sessions of IEMOCAP: no speaker is in two of them."""

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Named(Protocol):
    """A dialogue, whose name begins with its session, such as `Ses01F_impro01`."""

    @property
    def name(self) -> str: ...


D = TypeVar("D", bound=Named)


def apart(session: int, dialogues: Iterable[D]) -> tuple[tuple[D, ...], tuple[D, ...]]:
    """The dialogues without those of a session, and those of the session."""
    others: list[D] = []
    inside: list[D] = []
    for dialogue in dialogues:
        (inside if dialogue.name.startswith(f"Ses{session:02}") else others).append(dialogue)
    return tuple(others), tuple(inside)
