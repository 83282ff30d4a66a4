"""`python -m train.evaluate`: what was measured of a trained model."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from configs.command import parser, run
from model import checkpoint
from model.checkpoint import Card

EXAMPLES = """
python -m train.evaluate live          the model that ships
python -m train.evaluate runs/three    a run of train.fit
python -m train.evaluate live --json
"""

_FIGURES = ("weighted_f1", "accuracy", "macro_f1", "ece")


def main(words: Sequence[str]) -> None:
    """The command; see the module."""
    arguments = parser(
        "python -m train.evaluate",
        "Prints what a checkpoint's card reports: scores on test by the modalities that are there, "
        "each with mean and standard deviation over the seeds, and the recall of every emotion.",
        EXAMPLES,
    )
    arguments.add_argument("model", metavar="RUN|CHECKPOINT", help="a name, a run, or a file")
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    given = arguments.parse_args(words)
    card = checkpoint.load(_resolve(given.model)).card
    if given.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(summary(card))) + b"\n")
    else:
        _print(card)


def summary(card: Card) -> dict[str, object]:
    """The scores of a card: by set, figures with mean and sd over seeds, and by class."""
    subsets = card.scores.get("seeds", {})
    return {
        "name": card.name,
        "version": card.version,
        "split": "test",
        "context": card.architecture.mode,
        "seeds": card.seeds,
        "modalities": {
            name: {**figures, "per_class": card.scores[name]["per_class"]}
            for name, figures in subsets.items()
        },
        "notes": card.notes,
    }


def _resolve(name: str) -> str | Path:
    run_folder = Path("runs") / name
    return run_folder if run_folder.is_dir() and name not in checkpoint.names() else name


def _print(card: Card) -> None:
    console = Console()
    table = Table(title=f"{card.name} {card.version}: test, seeds {card.seeds}")
    table.add_column("modalities")
    for figure in _FIGURES:
        table.add_column(figure.replace("_", " "), justify="right")
    for emotion in card.emotions:
        table.add_column(f"recall {emotion}", justify="right")
    for name, figures in card.scores.get("seeds", {}).items():
        values = [f"{figures[f]['mean']:.3f}±{figures[f]['sd']:.3f}" for f in _FIGURES]
        classes = card.scores[name]["per_class"]
        table.add_row(
            name, *values, *(f"{classes[emotion]['recall']:.2f}" for emotion in card.emotions)
        )
    console.print(table)
    for note in card.notes:
        console.print(f"- {note}")


if __name__ == "__main__":
    sys.exit(run(main))
