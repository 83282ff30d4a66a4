"""The registry of what can be trained: a new kind is one file with a class, and one line here."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from gscon_live.common import registry
from gscon_live.common.errors import InputError
from gscon_live.train.progress import Display

#: By the `kind` of its recipes, the module and the class of what can be trained.
TRAINABLES: dict[str, str] = {
    "conversation": "gscon_live.train.networks.conversation_trainable.ConversationTrainable",
    "face": "gscon_live.train.encoders.face.trainable.FaceTrainable",
    "fusion": "gscon_live.train.networks.composed_trainable.ComposedTrainable",
    "speaker": "gscon_live.train.encoders.speaker.SpeakerTrainable",
    "text": "gscon_live.train.encoders.text.trainable.TextTrainable",
    "voice": "gscon_live.train.encoders.voice.trainable.VoiceTrainable",
}


class Recipe(Protocol):
    """What all recipes have: a `msgspec.Struct` that is frozen and forbids unknown fields."""

    @property
    def kind(self) -> str:
        """A name of `TRAINABLES`."""
        ...

    @property
    def name(self) -> str | None:
        """That of the run's folder; None is filled in by `Trainable.resolved`."""
        ...

    @property
    def ship(self) -> bool:
        """Whether the weights become those that ship."""
        ...


R = TypeVar("R", bound=Recipe)


class Trainable(ABC, Generic[R]):
    """Something that `train.fit` trains by a recipe."""

    #: The type of its recipes.
    recipe: ClassVar[type]
    #: The name that its weights have among those that ship; None: the recipe's.
    ships_as: ClassVar[str | None] = None
    #: Whether several processes may train it together.
    several_processes: ClassVar[bool] = False

    def resolved(self, recipe: R) -> R:
        """The recipe with every value that was left open.

        Raises:
            InputError: values that do not go together.
        """
        return recipe

    @abstractmethod
    def fit(self, recipe: R, folder: Path, display: Display) -> Path:
        """Trains; interrupted, the same call goes on from the last epoch that was finished.

        Args:
            recipe: is resolved.
            folder: that of the run, which need not be there.
            display: where progress is shown.

        Returns:
            What was made: a folder, or the file of the weights, with cards beside it that have the
            same name and another suffix.

        Raises:
            InputError: the recipe, its corpus, or what lies in the folder is wrong.
            Failure: the training did not succeed.
        """

    def weights(self, made: Path) -> Path:
        """The weights that ship, of what `fit` made."""
        return made


_TRAINABLES: registry.Registry[Trainable[Any]] = registry.Registry("kind", Trainable, TRAINABLES)


def trainable(kind: object) -> Trainable[Recipe]:
    """What is trained by recipes of a kind. Raises `InputError` where there is no such kind."""
    if kind not in TRAINABLES:
        raise InputError(f"kind {kind!r}, expected one of {', '.join(TRAINABLES)}")
    return _TRAINABLES.get(str(kind))()
