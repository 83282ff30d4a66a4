"""The registry of trainables: a new kind is one file with a class, and one line here."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from gscon_live.common import registry
from gscon_live.common.errors import InputError
from gscon_live.common.suggestions import did_you_mean
from gscon_live.train.progress import Display

#: Module and class of each trainable, by the `kind` of its recipes.
TRAINABLES: dict[str, str] = {
    "conversation": "gscon_live.train.networks.conversation_trainable.ConversationTrainable",
    "face": "gscon_live.train.encoders.face.trainable.FaceTrainable",
    "fusion": "gscon_live.train.networks.composed_trainable.ComposedTrainable",
    "profile": "gscon_live.train.encoders.profile.ProfileTrainable",
    "overlap": "gscon_live.train.encoders.overlap.OverlapTrainable",
    "speaker": "gscon_live.train.encoders.speaker.SpeakerTrainable",
    "text": "gscon_live.train.encoders.text.trainable.TextTrainable",
    "voice": "gscon_live.train.encoders.voice.trainable.VoiceTrainable",
}


class Recipe(Protocol):
    """The common fields of all recipes. A recipe is a frozen `msgspec.Struct` that forbids unknown
    fields."""

    @property
    def kind(self) -> str:
        """A name of `TRAINABLES`."""
        ...

    @property
    def name(self) -> str | None:
        """The name of the run's folder; None is filled in by `Trainable.run_name`."""
        ...

    @property
    def ship(self) -> bool:
        """Whether the weights are installed among those that ship."""
        ...


R = TypeVar("R", bound=Recipe)


class Trainable(ABC, Generic[R]):
    """An encoder or network that `train.fit` trains by a recipe."""

    #: The type of its recipes.
    recipe: ClassVar[type]
    #: The name of its weights among those that ship; None: the recipe's name.
    ships_as: ClassVar[str | None] = None
    #: Whether several processes may train it together.
    several_processes: ClassVar[bool] = False

    def run_name(self, recipe: R, source: str) -> str:
        """The name of a run whose recipe has none. `source` is the name of the recipe's file,
        without its ending."""
        return source

    def resolved(self, recipe: R) -> R:
        """The recipe with defaults for all open values.

        Raises:
            InputError: values that do not go together.
        """
        return recipe

    @abstractmethod
    def fit(self, recipe: R, folder: Path, display: Display) -> Path:
        """Trains. After an interruption the same call resumes at the last finished epoch.

        Args:
            recipe: is resolved.
            folder: the run's folder; created where missing.
            display: shows progress.

        Returns:
            The run's folder, or the file of the weights. Cards lie beside the weights, with the
            same name and another suffix.

        Raises:
            InputError: the recipe, its corpus, or the contents of the folder are wrong.
            Failure: the training failed.
        """

    def weights(self, result: Path) -> Path:
        """The weights to ship, from the result of `fit`."""
        return result


_TRAINABLES: registry.Registry[Trainable[Any]] = registry.Registry("kind", Trainable, TRAINABLES)


def trainable(kind: object) -> Trainable[Recipe]:
    """The trainable of a kind. Raises `InputError` for an unknown kind."""
    if kind not in TRAINABLES:
        raise InputError(
            f"kind {kind!r}, expected one of {', '.join(TRAINABLES)}; "
            f"{did_you_mean(str(kind), TRAINABLES)}correct the key kind"
        )
    return _TRAINABLES.get(str(kind))()
