"""Lists of runs: what a leaderboard is made of, and the trainings behind it.

A list is a YAML file whose `runs` are the words that `train.fit` would be given, one run each; its
`grids` are runs of every network with everything that balances.
"""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import msgspec

from gscon_live.common.errors import Failure, InputError
from gscon_live.configs import loader
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.networks.evaluate_run import finished
from gscon_live.train.networks.recipe import CHANGES_NOTHING, ConversationRecipe, text_seed
from gscon_live.train.progress import Report
from gscon_live.train.recipes import recipe, seeds
from gscon_live.train.runs.run_folder import RUNS, RunFolder

#: Where the lists lie that ship with the project.
FOLDER = "leaderboard"


class Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Runs of every one of some networks with each of some balances.

    All are words for `train.fit`: those of `every` run, of `networks` by `model`, of `balances` by
    a name, and of single `cells` by both (`mmgcn fagm`), later words going before. A run is named
    after the grid's `name`, the network and the balance.
    """

    name: str
    every: str
    networks: dict[str, str]
    balances: dict[str, str]
    cells: dict[str, str] = {}

    @property
    def runs(self) -> list[str]:
        """The runs, each as its words. Raises `InputError` where a cell is not in the grid."""
        places = {
            f"{network} {balance}": f"{self.every} model={network} {words} {further}"
            for network, words in self.networks.items()
            for balance, further in self.balances.items()
        }
        if unknown := self.cells.keys() - places.keys():
            raise InputError(
                f"grid {self.name!r}: there is no cell {min(unknown)!r}; give a network and a "
                "balance"
            )
        return [
            f"{words} {self.cells.get(place, '')} name={self.name}-{place.replace(' ', '-')}"
            for place, words in places.items()
        ]


class RunList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: for each run its recipe and overrides, for example `meld model=mlp seeds=5`, and
    grids of runs."""

    runs: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()

    @property
    def every(self) -> list[str]:
        """All runs, those of grids last."""
        return [*self.runs, *(one for grid in self.grids for one in grid.runs)]


@dataclass(frozen=True)
class Job:
    """A call of `train.fit` or another command: its words, what it makes, and what comes after."""

    words: tuple[str, ...]
    makes: str
    command: str = "gscon_live.train.fit"
    then: "Job | None" = None


@dataclass(frozen=True)
class PlannedRun:
    """A run of a list: the words for `train.fit`, and the recipe that they make."""

    words: tuple[str, ...]
    recipe: ConversationRecipe

    @property
    def folder(self) -> Path:
        """Where the run lies, or will lie."""
        return RUNS / str(self.recipe.name)

    @property
    def finished(self) -> bool:
        """Whether all seeds are trained. Raises `InputError` where the folder holds another run."""
        RunFolder(self.folder).refuse_other(self.recipe, CHANGES_NOTHING)
        try:
            return finished(self.folder).keys() >= {*seeds(self.recipe)}
        except InputError:
            return False


def is_list(name: str) -> bool:
    """Whether a word of the command line names a list: one that ships, or a YAML file."""
    return name in loader.names(FOLDER) or name.endswith(".yaml")


def read(name_or_path: str) -> list[PlannedRun]:
    """The runs of a list, in its order.

    Raises:
        InputError: the list, or one of the recipes in it, is wrong, or two runs have one name.
    """
    path = loader.find(name_or_path, FOLDER)
    made: dict[str, PlannedRun] = {}
    for line in loader.convert(loader.read(path), RunList, str(path)).every:
        words = _words(line, path)
        chosen = recipe(words[0], words[1:])
        if not isinstance(chosen, ConversationRecipe):
            raise InputError(f"list {path}: {line!r} is of kind {chosen.kind}; give conversations")
        name = str(chosen.name)
        if name in made:
            raise InputError(f"list {path}: two runs are named {name!r}; give one another name=...")
        made[name] = PlannedRun(tuple(words), chosen)
    if not made:
        raise InputError(f"list {path}: no runs in it; add some")
    return list(made.values())


def fit(planned: Sequence[PlannedRun], jobs: int, report: Report) -> None:
    """Trains and evaluates runs, so many at a time, each in a process of its own: first their text
    encoders.

    A run that was interrupted is continued. `report` is told (done, in all, what).

    Raises:
        InputError, Failure: as the training that did not succeed said; the others are stopped.
    """
    waiting = text_encoders(planned)
    waiting += [_job(one) for one in planned]
    total, running = (
        len(waiting) + len(planned),
        dict[Job, tuple[subprocess.Popen[bytes], IO[bytes]]](),
    )
    done = 0
    with ExitStack() as stack:
        stack.callback(lambda: _stop([process for process, _ in running.values()]))
        while waiting or running:
            while waiting and len(running) < jobs:
                one = waiting.pop(0)
                said: IO[bytes] = stack.enter_context(TemporaryFile())
                words = [sys.executable, "-m", one.command, *one.words]
                running[one] = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=said), said
            names = ", ".join(one.makes for one in running)
            report(done, total, f"making {names}")
            time.sleep(0.2)
            for one, (process, said) in list(running.items()):
                if process.poll() is not None:
                    del running[one]
                    _require(one, process.returncode, said)
                    done += 1
                    if one.then is not None:
                        waiting.insert(0, one.then)


def text_encoders(planned: Sequence[PlannedRun]) -> list[Job]:
    """The text encoders that runs take and that are not trained yet, those that others start from
    before these."""
    steps: list[dict[tuple[str, int], None]] = []

    def add(name: str, seed: int) -> int:
        """Puts an encoder after the one that it starts from; gives its place."""
        made = text_cache.recipe(name)
        place = 0 if made.start is None else add(made.start, 1) + 1
        steps.extend({} for _ in range(place + 1 - len(steps)))
        if not text_cache.is_trained(made, seed):
            steps[place][name, seed] = None
        return place

    taken = {
        (one.text, text_seed(one, seed)): None
        for one in (run.recipe for run in planned)
        if one.features is None and one.text != "frozen"
        for seed in seeds(one)
    }
    # Each once, since asking for one reads the corpora that it is learned from.
    for name, seed in taken:
        add(name, seed)
    return [
        Job((name, f"first_seed={seed}", "seeds=1"), f"text encoder {name}, seed {seed}")
        for step in steps
        for name, seed in step
    ]


def _job(one: PlannedRun) -> Job:
    """The training of a run, and its evaluation."""
    name = f"run {one.recipe.name}"
    scores = Job((str(one.folder), "--json"), f"the scores of {name}", "gscon_live.train.evaluate")
    return Job(one.words, name, then=scores)


def _words(line: str, path: Path) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InputError(f"list {path}: {line!r}: {error}; mend the quotes") from error
    if not words:
        raise InputError(f"list {path}: an empty run; give a recipe")
    return words


def _require(one: Job, code: int, said: IO[bytes]) -> None:
    """Raises what a training ended with, if it did not succeed."""
    if code == 0:
        return
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
    kind = InputError if code == 2 else Failure
    raise kind(f"{one.makes}: {lines[-1].removeprefix('error: ')}")


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
