"""The sessions of IEMOCAP: no speaker is in two of them."""

from typing import Annotated, Literal, Protocol, TypeVar

import msgspec

#: A session to leave out of a training, from 1 to 4; 0: none; `each`: seed 1 leaves out session 1,
#: seed 2 session 2, and so on, in turn.
LeftOut = Annotated[int, msgspec.Meta(ge=0, le=4)] | Literal["each"]


class Named(Protocol):
    """A dialogue, whose name begins with its session, such as `Ses01F_impro01`."""

    @property
    def name(self) -> str: ...


D = TypeVar("D", bound=Named)


def left_out(which: LeftOut, seed: int) -> int:
    """The session that the training of a seed leaves out; 0: none."""
    return 1 + (seed - 1) % 4 if which == "each" else which


def apart(
    which: LeftOut, seed: int, train: tuple[D, ...], validation: tuple[D, ...]
) -> tuple[tuple[D, ...], tuple[D, ...]]:
    """The training and validation dialogues of a seed: with a session left out, all dialogues
    without those of the session, and those of the session; else as they are."""
    session = left_out(which, seed)
    if not session:
        return train, validation
    others: list[D] = []
    inside: list[D] = []
    for dialogue in (*train, *validation):
        (inside if dialogue.name.startswith(f"Ses{session:02}") else others).append(dialogue)
    return tuple(others), tuple(inside)
