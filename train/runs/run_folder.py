"""Folders of runs: `runs/<name>/` with `recipe.json`, and a folder for each seed.

During a training its folder holds `history.jsonl` and `state.safetensors`, from which it resumes (a
single file, so that it is complete or missing). A finished training has weights and a card instead
of the state; for a network on conversations these are `model.safetensors` and `model.json`.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
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
from gscon_live.train.engine.trainer import SELECTION_SCORE, State

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

#: The folder of runs.
RUNS = Path("runs")

R = TypeVar("R", bound=msgspec.Struct)

#: Fields of recipes without effect on a training.
NO_EFFECT = ("ship",)

#: The name of the file that locks a run.
_LOCK = "training.lock"
#: The prefixes of the names of a state's tensors.
_TENSORS = ("network", "average", "best", "optimiser")


class TrainingFolder:
    """The folder of a training.

    Args:
        folder: its path; created where missing.
        results: the files of a finished training; None: weights and cards of `model`.
    """

    def __init__(self, folder: Path, results: Sequence[Path] | None = None) -> None:
        self.folder = folder
        #: The path of the checkpoint of a network on conversations, without a suffix.
        self.model = folder / "model"
        cards = [self.model.with_suffix(suffix) for suffix in (".safetensors", ".json", ".md")]
        self._results = cards if results is None else [*results]
        self._state = folder / "state.safetensors"

    @property
    def finished(self) -> bool:
        """Whether all results exist and no state is left."""
        return all(path.is_file() for path in self._results) and not self._state.exists()

    def read(self) -> State | None:
        """The state to resume from; None: there is none.

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
            # Without `best`, the last epoch is the best.
            tensors["best"] = tensors["best"] or tensors["average"] or tensors["network"]
            return State(**notes, **tensors)
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"training state {self._state}: cannot be read ({error}); delete the folder "
                f"{self.folder} to train it anew"
            ) from error

    def write(self, state: State) -> None:
        """Writes the state at the end of an epoch, and the history up to it."""
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
        # The history is written first: an epoch that is only in the history is trained again, but
        # one that is only in the state is not.
        write_whole(self.folder / "history.jsonl", b"".join(lines))
        write_whole(self._state, save(tensors, metadata={"state": notes.decode()}))

    def finish(self) -> None:
        """Deletes the state, after the weights are written."""
        self._state.unlink(missing_ok=True)

    def remove(self) -> None:
        """Deletes the folder; the trained weights are elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def tensorboard(self, epoch: int) -> "SummaryWriter":
        """The TensorBoard log, continued after `epoch`."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder / "tensorboard"), purge_step=epoch + 1)


class RunFolder:
    """The folder of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recipe = folder / "recipe.json"

    def seed(self, seed: int) -> TrainingFolder:
        """The folder of a seed's training."""
        return TrainingFolder(self.folder / f"seed-{seed}")

    def begin(self, recipe: msgspec.Struct) -> None:
        """Creates the folder and writes the recipe."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._recipe, msgspec.json.format(msgspec.json.encode(recipe)) + b"\n")

    @contextmanager
    def begun(self, recipe: R, changes_nothing: tuple[str, ...] = NO_EFFECT) -> Iterator[None]:
        """Begins or resumes the run, and locks it against other processes.

        Args:
            recipe: the current recipe.
            changes_nothing: as in `refuse_other`.

        Raises:
            InputError: another process is training it, or has begun it with another recipe.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"run {self.folder}: another process is training it; wait until it is done, or "
                "give another name=..."
            ) from None
        try:
            # Another process may have begun the run since this one began to read its corpora.
            self.refuse_other(recipe, changes_nothing)
            self.begin(recipe)
            yield
        finally:
            lock.release()

    def best(self) -> Path:
        """The weights of the seed with the best weighted F1 on validation, of the finished ones.
        Where each seed was validated by another session, scores do not compare: of the first."""
        by_folder: dict[TrainingFolder, float] = {}
        stored = self._recipe.read_bytes() if self._recipe.is_file() else b"{}"
        each = msgspec.json.decode(stored).get("left_out_session") == "each"
        for folder in map(TrainingFolder, sorted(self.folder.glob("seed-*"), key=_by_seed)):
            if folder.finished and not (each and by_folder):
                lines = (folder.folder / "history.jsonl").read_bytes().splitlines()
                epoch = max(map(msgspec.json.decode, lines), key=itemgetter(SELECTION_SCORE))
                by_folder[folder] = epoch["validation_weighted_f1"]
        return max(by_folder, key=lambda folder: by_folder[folder]).model.with_suffix(
            ".safetensors"
        )

    def refuse_other(self, recipe: R, changes_nothing: tuple[str, ...] = NO_EFFECT) -> None:
        """Refuses to resume a run that was begun with another recipe.

        Args:
            recipe: the current recipe.
            changes_nothing: the names of fields that do not affect the training of a seed.

        Raises:
            InputError: the folder holds another run.
        """
        if not self._recipe.is_file():
            if self.folder.is_dir() and any(path.name != _LOCK for path in self.folder.iterdir()):
                raise InputError(
                    f"run {self.folder}: the folder holds something else; {_remedy(self.folder)}"
                )
            return
        try:
            stored = msgspec.json.decode(self._recipe.read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise InputError(
                f"run {self.folder}: its recipe.json cannot be read; {_remedy(self.folder)}"
            ) from error
        current = msgspec.json.decode(msgspec.json.encode(recipe))
        readable = isinstance(stored, dict) and stored
        stored = complete(stored, type(recipe)) if readable else {}
        current = modern(current)
        changed = sorted(
            key
            for key in (stored.keys() | current.keys()) - set(changes_nothing)
            if stored.get(key) != current.get(key)
        )
        if changed:
            values = ", ".join(f"{key}={stored.get(key)!r}" for key in changed)
            raise InputError(
                f"run {self.folder}: it was begun with {values}; {_remedy(self.folder)}"
            )


def complete(stored: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """A run's stored recipe, of whichever version, with all keys of the present one: those that are
    newer than it have their defaults, which change nothing."""
    return modern({**msgspec.json.decode(msgspec.json.encode(kind())), **stored})


def _by_seed(folder: Path) -> tuple[int, str]:
    """Sorts the folders of trainings by seed: a shorter number is a smaller one."""
    return len(folder.name), folder.name


def _remedy(folder: Path) -> str:
    return f"give another name=..., or delete {folder} to begin anew"
