"""`python -m train.evaluate`: what a trained model is worth, measured anew or by its card."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from configs.command import parser, run
from configs.errors import InputError
from model import checkpoint
from model.checkpoint import Card, presence
from train.evaluation import Material, conversation_material, evaluate, is_run
from train.features import Report
from train.figures import Evaluation, Figure, Figures

EXAMPLES = """
python -m train.evaluate runs/iemocap          a run of train.fit: measures all its seeds
python -m train.evaluate runs/iemocap --json
python -m train.evaluate runs/iemocap/seed-1   one checkpoint: what its card says
python -m train.evaluate live                  the model that ships: what its card says
"""

_FIGURES = ("weighted_f1", "accuracy", "macro_f1", "ece")
_FROM_CARD = "These figures are from the checkpoint's card; nothing was measured now."


def main(words: Sequence[str], material: Material = conversation_material) -> None:
    """The command; see the module. `material` gives the features of a run."""
    arguments = parser(
        "python -m train.evaluate",
        "Measures a run on conversations anew, from its checkpoints and the corpus: on validation "
        "and test, in several contexts, with all sets of modalities, over all seeds; and writes "
        "evaluation.json into the run's folder. Of a single checkpoint, and of a run on composed "
        "conversations, prints what the card reports.",
        EXAMPLES,
    )
    arguments.add_argument("model", metavar="RUN|CHECKPOINT", help="a name, a run, or a file")
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    given = arguments.parse_args(words)
    torch.set_num_threads(1)
    place = find(given.model)
    if isinstance(place, Path) and is_run(place):
        with progress() as report:
            measured = evaluate(place, report, material)
        if given.json:
            _say_json(measured)
        else:
            print_evaluation(measured)
    else:
        card = checkpoint.load(place).card
        if given.json:
            _say_json(summary(card))
        else:
            _print_card(card)


def find(name: str) -> str | Path:
    """A run or checkpoint by name or path: the name of one that ships, or a path.

    Raises:
        InputError: there is neither.
    """
    if name in checkpoint.names():
        return name
    for path in (Path("runs") / name, Path(name), Path(f"{name}.safetensors")):
        if path.exists():
            return path
    raise InputError(
        f"{name!r}: no such run or checkpoint; give one of {', '.join(checkpoint.names())}, the "
        "folder of a run, or the path of a .safetensors file"
    )


@contextmanager
def progress() -> Iterator[Report]:
    """A progress bar on standard error, told (done, in all, what)."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total, what: bar.update(
            task, completed=done, total=total, description=what
        )


def summary(card: Card) -> dict[str, object]:
    """The scores of a card: by set, figures with mean and sd over seeds, and by class."""
    subsets = card.scores.get("seeds", {})
    return {
        "name": card.name,
        "version": card.version,
        "source": "card",
        "split": "test",
        "context": card.architecture.mode,
        "seeds": card.seeds,
        "modalities": {
            name: {**figures, "per_class": card.scores[name]["per_class"]}
            for name, figures in subsets.items()
        },
        "notes": card.notes,
    }


def print_evaluation(made: Evaluation, console: Console | None = None) -> None:
    """The figures of a run for people, as tables."""
    console = console or Console()
    everything = presence(made.modalities)
    window = f" of {made.context}" if made.context else ""
    console.print(
        f"{made.run}: {made.network} ({made.mode}{window}) on {made.corpus}, {everything}; "
        f"{made.parameters} parameters; seeds {', '.join(map(str, made.seeds))}; epochs selected "
        f"on {made.selection}; mean ± standard deviation over seeds, 95 % interval over dialogues."
    )
    console.print(_table("By modalities, as trained", "modalities", [
        (f"{subset}, {split}", figures)
        for split in ("test", "validation")
        for subset, figures in made.splits[split]["as_trained"].items()
    ]))  # fmt: skip
    console.print(_table(f"By context: test, {everything}", "context", [
        (context.replace("_", " "), by_subset[everything])
        for context, by_subset in made.splits["test"].items()
    ]))  # fmt: skip
    console.print(_classes(made))
    if made.best_on_test:
        console.print(
            f"Best epoch on test: weighted F1 {plus_minus(made.best_on_test.weighted_f1)}. "
            f"Use: {made.best_on_test.use}."
        )


def plus_minus(figure: Figure, scale: float = 1, digits: int = 3) -> str:
    """Mean and standard deviation in words; the mean alone where there is one seed."""
    mean = f"{figure.mean * scale:.{digits}f}"
    return mean if figure.sd is None else f"{mean} ± {figure.sd * scale:.{digits}f}"


def _say_json(what: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")


def _table(title: str, first: str, rows: Sequence[tuple[str, Figures]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for name in ("weighted F1", "95 %", "accuracy", "macro F1", "ECE", "uncalibrated"):
        table.add_column(name, justify="right")
    for name, one in rows:
        table.add_row(
            name,
            plus_minus(one.weighted_f1),
            f"{one.interval.low:.3f} to {one.interval.high:.3f}",
            plus_minus(one.accuracy),
            plus_minus(one.macro_f1),
            plus_minus(one.ece),
            plus_minus(one.ece_uncalibrated),
        )
    return table


def _classes(made: Evaluation) -> Table:
    table = Table(
        title=f"By class: test, {presence(made.modalities)}; answers in % of the utterances",
        title_justify="left",
    )
    for name in ("class", "F1", "precision", "recall", "utterances", *made.labels):
        table.add_column(name, justify="left" if name == "class" else "right")
    for (name, one), row in zip(made.test.per_class.items(), made.test.confusion, strict=True):
        table.add_row(
            name,
            plus_minus(one.f1),
            plus_minus(one.precision),
            plus_minus(one.recall),
            str(one.support),
            *(f"{100 * count / max(sum(row), 1):.0f}" for count in row),
        )
    return table


def _print_card(card: Card) -> None:
    console = Console()
    over_seeds = card.scores.get("seeds", {})
    if over_seeds:
        table = Table(title=f"{card.name} {card.version}: test, seeds {card.seeds}")
        table.add_column("modalities")
        for figure in _FIGURES:
            table.add_column(figure.replace("_", " "), justify="right")
        for emotion in card.emotions:
            table.add_column(f"recall {emotion}", justify="right")
        for name, figures in over_seeds.items():
            values = [f"{figures[f]['mean']:.3f}±{figures[f]['sd']:.3f}" for f in _FIGURES]
            classes = card.scores[name]["per_class"]
            table.add_row(
                name, *values, *(f"{classes[emotion]['recall']:.2f}" for emotion in card.emotions)
            )
        console.print(table)
        for note in card.notes:
            console.print(f"- {note}")
    else:
        console.print(checkpoint.describe(card), markup=False, highlight=False)
    console.print(_FROM_CARD)


if __name__ == "__main__":
    sys.exit(run(main))
