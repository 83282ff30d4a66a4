"""Lists of runs: the runs of a leaderboard, and how they are trained.

A list is a YAML file. Each of its `runs` has the arguments of `train.fit` for a run; its `grids`
are runs of several networks with several balancing methods.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

import msgspec

from gscon_live.common.errors import Failure, InputError
from gscon_live.configs import loader
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.networks.evaluate_run import finished
from gscon_live.train.networks.recipe import NO_EFFECT_ON_A_SEED, ConversationRecipe, text_seed
from gscon_live.train.progress import Report
from gscon_live.train.recipes import recipe, seeds
from gscon_live.train.runs.run_folder import RUNS, RunFolder

#: The folder of the lists that ship, in `configs`.
FOLDER = "leaderboard"


class Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs of all combinations of networks and balances.

    All values are arguments of `train.fit`: `every` for all runs, `networks` by `model`, `balances`
    by name, and `cells` for single combinations (`mmgcn fagm`). Of two values for a setting the
    later one counts. A run is named after the grid's `name`, the network and the balance.
    """

    name: str
    every: str
    networks: dict[str, str]
    balances: dict[str, str]
    cells: dict[str, str] = {}

    @property
    def runs(self) -> list[str]:
        """The arguments of each run. Raises `InputError` where a cell is not in the grid."""
        combinations = {
            f"{network} {balance}": f"{self.every} model={network} {options} {balance_options}"
            for network, options in self.networks.items()
            for balance, balance_options in self.balances.items()
        }
        if unknown := self.cells.keys() - combinations.keys():
            raise InputError(
                f"grid {self.name!r}: there is no cell {min(unknown)!r}; give a network and a "
                "balance"
            )
        return [
            f"{options} {self.cells.get(cell, '')} name={self.name}-{cell.replace(' ', '-')}"
            for cell, options in combinations.items()
        ]


class RunList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the file: recipe and overrides of each run, for example
    `meld model=mlp seeds=5`, and grids of runs."""

    runs: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()

    @property
    def all_runs(self) -> list[str]:
        """The arguments of all runs, those of grids last."""
        return [*self.runs, *(run for grid in self.grids for run in grid.runs)]


@dataclass(frozen=True)
class Job:
    """A call of a command: its arguments, a description of its result, its module, and the job that
    follows."""

    arguments: tuple[str, ...]
    result: str
    module: str = "gscon_live.train.fit"
    next: "Job | None" = None


@dataclass(frozen=True)
class PlannedRun:
    """A run of a list: the arguments of `train.fit`, and the recipe that they give."""

    arguments: tuple[str, ...]
    recipe: ConversationRecipe

    @property
    def folder(self) -> Path:
        """The folder of the run, which may not exist yet."""
        return RUNS / str(self.recipe.name)

    @property
    def finished(self) -> bool:
        """Whether all seeds are trained. Raises `InputError` where the folder holds another run."""
        RunFolder(self.folder).refuse_other(self.recipe, NO_EFFECT_ON_A_SEED)
        try:
            return finished(self.folder).keys() >= {*seeds(self.recipe)}
        except InputError:
            return False


def is_list(name: str) -> bool:
    """Whether an argument names a list: one that ships, or a YAML file."""
    return name in loader.names(FOLDER) or name.endswith(".yaml")


def read(name_or_path: str) -> list[PlannedRun]:
    """The runs of a list, in its order.

    Raises:
        InputError: the list or a recipe in it is wrong, or two runs have the same name.
    """
    path = loader.find(name_or_path, FOLDER)
    by_name: dict[str, PlannedRun] = {}
    for line in loader.convert(loader.read(path), RunList, str(path)).all_runs:
        arguments = _split_arguments(line, path)
        run_recipe = recipe(arguments[0], arguments[1:])
        if not isinstance(run_recipe, ConversationRecipe):
            raise InputError(
                f"list {path}: {line!r} is of kind {run_recipe.kind}; give conversations"
            )
        name = str(run_recipe.name)
        if name in by_name:
            raise InputError(f"list {path}: two runs are named {name!r}; give one another name=...")
        by_name[name] = PlannedRun(tuple(arguments), run_recipe)
    if not by_name:
        raise InputError(f"list {path}: no runs in it; add some")
    return list(by_name.values())


class Started(Protocol):
    """A job that was started somewhere."""

    def ended(self) -> tuple[int, bytes] | None:
        """Its exit code and what it wrote to standard error; None while it runs."""

    def stop(self) -> None:
        """Has it end now."""

    def finish(self) -> None:
        """Waits until it has ended; call `stop` before."""


class LocalJob:
    """A job in a process of this machine."""

    def __init__(self, job: Job) -> None:
        self._stderr: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed when the job has ended
        self._process = subprocess.Popen(
            [sys.executable, "-m", job.module, *job.arguments],
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
        )

    def ended(self) -> tuple[int, bytes] | None:
        """See `Started`."""
        if (code := self._process.poll()) is None:
            return None
        self._stderr.seek(0)
        with self._stderr:
            return code, self._stderr.read()

    def stop(self) -> None:
        """See `Started`."""
        self._process.terminate()

    def finish(self) -> None:
        """See `Started`."""
        self._process.wait()
        self._stderr.close()


def fit(
    planned: Sequence[PlannedRun],
    jobs: int,
    report: Report,
    start: Callable[[Job], Started] = LocalJob,
) -> None:
    """Trains and evaluates runs after their text encoders, `jobs` at a time.

    Interrupted runs are resumed. `report` receives (done, total, text); `start` starts a job.

    Raises:
        InputError, Failure: the error of the training that failed; the others are stopped.
    """
    waiting = text_encoders(planned)
    waiting += [_training_job(run) for run in planned]
    running: dict[Job, Started] = {}
    done, total = 0, len(waiting) + len(planned)
    with ExitStack() as stack:
        stack.callback(_stop, running)
        while waiting or running:
            while waiting and len(running) < jobs:
                job = waiting.pop(0)
                running[job] = start(job)
            report(done, total, f"making {', '.join(job.result for job in running)}")
            time.sleep(0.2)
            for job, started in list(running.items()):
                end = started.ended()
                if end is not None:
                    del running[job]
                    _raise_failure(job, *end)
                    done += 1
                    if job.next is not None:
                        waiting.insert(0, job.next)


def text_encoders(planned: Sequence[PlannedRun]) -> list[Job]:
    """The trainings of all text encoders that the runs need and that are missing; an encoder comes
    after the one that it starts from."""
    steps: list[dict[tuple[str, int], None]] = []

    def add(name: str, seed: int) -> int:
        """Adds an encoder to the step after that of the encoder it starts from; gives its step."""
        encoder = text_cache.recipe(name)
        step = 0 if encoder.start is None else add(encoder.start, 1) + 1
        steps.extend({} for _ in range(step + 1 - len(steps)))
        if not text_cache.is_trained(encoder, seed):
            steps[step][name, seed] = None
        return step

    needed = {
        (name, encoder_seed): None
        for run_recipe in (run.recipe for run in planned)
        if run_recipe.features is None
        for seed in seeds(run_recipe)
        for name, encoder_seed in (
            (run_recipe.text, text_seed(run_recipe, seed)),
            (run_recipe.general, 1),
        )
        if name != "frozen"
    }
    # No encoder is looked up twice: a look-up reads the corpora that it is trained on.
    for name, seed in needed:
        add(name, seed)
    return [
        Job((name, f"first_seed={seed}", "seeds=1"), f"text encoder {name}, seed {seed}")
        for step in steps
        for name, seed in step
    ]


def _training_job(run: PlannedRun) -> Job:
    """The training of a run, followed by its evaluation."""
    name = f"run {run.recipe.name}"
    evaluation = Job(
        (str(run.folder), "--json"), f"the scores of {name}", "gscon_live.train.evaluate"
    )
    return Job(run.arguments, name, next=evaluation)


def _split_arguments(line: str, path: Path) -> list[str]:
    """The arguments of a run, split as in a shell."""
    try:
        arguments = shlex.split(line)
    except ValueError as error:
        raise InputError(f"list {path}: {line!r}: {error}; mend the quotes") from error
    if not arguments:
        raise InputError(f"list {path}: an empty run; give a recipe")
    return arguments


def _raise_failure(job: Job, code: int, stderr: bytes) -> None:
    """Raises the error that a job ended with, if it failed."""
    if code == 0:
        return
    lines = stderr.decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
    kind = InputError if code == 2 else Failure
    raise kind(f"{job.result}: {lines[-1].removeprefix('error: ')}")


def _stop(running: Mapping[Job, Started]) -> None:
    for started in running.values():
        started.stop()
    for started in running.values():
        started.finish()
