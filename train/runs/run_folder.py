"""Folders of trainings: `runs/<name>/` with `recipe.json`, and one folder for each seed.

The folder of a training holds, while it goes on, `state.safetensors` (what it is continued from,
all in one file so that it is whole or not there) and `history.jsonl`; when it is finished, the
weights with their card instead of the state: of a network on conversations `model.safetensors`.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import safetensors
from filelock import FileLock, Timeout
from safetensors.torch import save

from gscon_live.common.errors import InputError
from gscon_live.common.files import write_whole
from gscon_live.train.balance.old_settings import modern
from gscon_live.train.engine.trainer import SELECTS, State

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

#: Where runs lie.
RUNS = Path("runs")

R = TypeVar("R", bound=msgspec.Struct)

#: Tensors of a state, by the first part of their names.
_TENSORS = ("network", "average", "best", "optimiser")


class TrainingFolder:
    """The folder of one training.

    Args:
        folder: need not be there.
        results: the files that a finished training leaves; None: `model` with its cards.
    """

    def __init__(self, folder: Path, results: Sequence[Path] | None = None) -> None:
        self.folder = folder
        #: Where the checkpoint of a network on conversations is written, without a suffix.
        self.model = folder / "model"
        cards = [self.model.with_suffix(suffix) for suffix in (".safetensors", ".json", ".md")]
        self._results = cards if results is None else [*results]
        self._state = folder / "state.safetensors"

    @property
    def finished(self) -> bool:
        """Whether all files are there, and nothing left to do."""
        return all(path.is_file() for path in self._results) and not self._state.exists()

    def read(self) -> State | None:
        """The state to go on from; None to start anew.

        Raises:
            InputError: the file is damaged.
        """
        if not self._state.is_file():
            return None
        try:
            with safetensors.safe_open(self._state, "pt") as file:
                notes = msgspec.json.decode(file.metadata()["state"], type=dict[str, Any])
                tensors: dict[str, Any] = {part: {} for part in _TENSORS}
                for key in file.keys():  # noqa: SIM118 - it is no dictionary
                    part, _, name = key.partition("/")
                    tensors[part][name] = file.get_tensor(key)
            # Written once where the last epoch is the best.
            tensors["best"] = tensors["best"] or tensors["average"] or tensors["network"]
            return State(**notes, **tensors)
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"training state {self._state}: cannot be read ({error}); delete the folder "
                f"{self.folder} to train it anew"
            ) from error

    def write(self, state: State) -> None:
        """Keeps the state at the end of an epoch, and the history up to there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{part}/{name}": value.contiguous()
            for part in _TENSORS
            if part != "best" or state.best_epoch != state.epoch
            for name, value in getattr(state, part).items()
        }
        names = ("epoch", "best_epoch", "history", "precision")
        notes = msgspec.json.encode({name: getattr(state, name) for name in names})
        lines = [msgspec.json.encode(epoch) + b"\n" for epoch in state.history]
        # First, since an epoch that is in the history only is run again, and one that is in the
        # state only, the last one, is not.
        write_whole(self.folder / "history.jsonl", b"".join(lines))
        write_whole(self._state, save(tensors, metadata={"state": notes.decode()}))

    def finish(self) -> None:
        """The weights are written: the state is not needed any more."""
        self._state.unlink(missing_ok=True)

    def remove(self) -> None:
        """Deletes all of it: what was trained lies elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def board(self, epoch: int) -> "SummaryWriter":
        """The TensorBoard log, to be continued after `epoch`."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder / "tensorboard"), purge_step=epoch + 1)


class Run:
    """The folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recipe = folder / "recipe.json"

    def seed(self, seed: int) -> TrainingFolder:
        """The folder of one seed's training."""
        return TrainingFolder(self.folder / f"seed-{seed}")

    def begin(self, recipe: msgspec.Struct) -> None:
        """Writes the recipe down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._recipe, msgspec.json.format(msgspec.json.encode(recipe)) + b"\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it, no other process trains this run.

        Raises:
            InputError: another one does.
        """
        try:
            with FileLock(self.folder / "training.lock", timeout=0):
                yield
        except Timeout:
            raise InputError(
                f"run {self.folder}: another process is training it; wait until it is done, or "
                "give another name=..."
            ) from None

    def best(self) -> Path:
        """The weights of the finished seed whose kept epoch is the best on validation."""
        reached = {}
        for folder in map(TrainingFolder, sorted(self.folder.glob("seed-*"))):
            if folder.finished:
                lines = (folder.folder / "history.jsonl").read_bytes().splitlines()
                kept = max(map(msgspec.json.decode, lines), key=itemgetter(SELECTS))
                reached[folder] = kept["validation_weighted_f1"]
        return max(reached, key=lambda folder: reached[folder]).model.with_suffix(".safetensors")

    def refuse_other(self, recipe: R, changes_nothing: tuple[str, ...] = ()) -> None:
        """Refuses to go on with a run that was begun by another recipe.

        Args:
            recipe: the recipe of now.
            changes_nothing: fields by which the training of a seed is not changed.

        Raises:
            InputError: the folder holds another run.
        """
        if not self._recipe.is_file():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise InputError(
                    f"run {self.folder}: the folder holds something else; {_remedy(self.folder)}"
                )
            return
        try:
            begun = msgspec.json.decode(self._recipe.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise InputError(
                f"run {self.folder}: its recipe.json cannot be read; {_remedy(self.folder)}"
            ) from error
        now = msgspec.json.decode(msgspec.json.encode(recipe))
        begun, now = modern(begun if isinstance(begun, dict) else {}), modern(now)
        changed = sorted(
            key
            for key in (begun.keys() | now.keys()) - set(changes_nothing)
            if begun.get(key) != now.get(key)
        )
        if changed:
            values = ", ".join(f"{key}={begun.get(key)!r}" for key in changed)
            raise InputError(
                f"run {self.folder}: it was begun with {values}; {_remedy(self.folder)}"
            )


def _remedy(folder: Path) -> str:
    return f"give another name=..., or delete {folder} to begin anew"
