"""`gscon-live evaluate`: what a trained model is worth, measured anew or by its card."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gscon_live.common import extras

extras.require("train", __name__)

import msgspec
import torch
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from gscon_live.common.cli import parser, run
from gscon_live.common.errors import InputError
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card, modality_set_name
from gscon_live.train.networks.evaluate_run import Material, conversation_material, evaluate, is_run
from gscon_live.train.progress import progress
from gscon_live.train.scoring.encoder_scores import EncoderScores
from gscon_live.train.scoring.figures import AgreementFigures, Evaluation, Figure, Figures

EXAMPLES = """
gscon-live evaluate runs/iemocap          a run of train.fit: measures all its seeds
gscon-live evaluate runs/iemocap --json
gscon-live evaluate runs/iemocap/seed-1   one checkpoint: what its card says
gscon-live evaluate live                  the model that ships: what its card says
"""

_FIGURES = ("weighted_f1", "accuracy", "macro_f1", "ece")
_FROM_CARD = "These figures are from the checkpoint's card; nothing was measured now."


def main(words: Sequence[str], material: Material = conversation_material) -> None:
    """The command; see the module. `material` gives the features of a run."""
    arguments = parser(
        "gscon-live evaluate",
        "Measures a run on conversations anew, from its checkpoints and the corpus: on validation "
        "and test, with all sets of modalities and in several contexts, over all seeds; and writes "
        "evaluation.json into the run's folder. Of a single checkpoint, and of a run on composed "
        "conversations, prints what the card reports.",
        EXAMPLES,
    )
    arguments.add_argument("model", metavar="RUN|CHECKPOINT", help="a name, a run, or a file")
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    given = arguments.parse_args(words)
    torch.set_num_threads(1)
    place = find_model(given.model)
    if isinstance(place, Path) and is_run(place):
        with progress() as display:
            measured = evaluate(place, display.report, material)
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


def find_model(name: str) -> str | Path:
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


def summary(card: Card) -> dict[str, object]:
    """The scores of a card: by set, figures with mean and sd over seeds, and by class."""
    return {
        "name": card.name,
        "version": card.version,
        "source": "card",
        "split": "test",
        "context": card.architecture.mode,
        "seeds": card.seeds,
        "modalities": {
            name: {**figures, "per_class": card.scores[name]["per_class"]}
            for name, figures in _of_card(card).items()
        },
        "encoders": card.scores.get("encoders", {}),
        "notes": card.notes,
    }


def _of_card(card: Card) -> dict[str, dict[str, dict[str, float | None]]]:
    """The figures of a card by modalities: over seeds where it has them, else of its one."""
    over_seeds: dict[str, dict[str, dict[str, float | None]]] = card.scores.get("seeds", {})
    return over_seeds or {
        name: {figure: {"mean": one[figure], "sd": None} for figure in _FIGURES}
        for name, one in card.scores.items()
        if "weighted_f1" in one
    }


def print_evaluation(made: Evaluation) -> None:
    """The figures of a run for people, as tables."""
    console = Console()
    everything = modality_set_name(made.modalities)
    window = f" of {made.context}" if made.context else ""
    console.print(
        f"{made.run}: {made.network} ({made.mode}{window}) on {made.corpus}, {everything}; "
        f"{made.parameters} parameters; seeds {', '.join(map(str, made.seeds))}; selected on "
        f"{made.selection}; mean ± standard deviation over seeds, 95 % interval over dialogues.",
        markup=False,
        highlight=False,
    )
    for split in ("validation", "test"):
        by_subset = made.splits[split]["as_trained"]
        print_table(_table(f"By modalities: {split}, as trained", by_subset))
    by_context = {
        context.replace("_", " "): by_subset[everything]
        for context, by_subset in made.splits["test"].items()
    }
    print_table(_table(f"By context: test, {everything}", by_context))
    print_table(_classes(made))
    if made.agreement:
        print_table(_agreement(made.agreement))
    if made.best_on_test:
        console.print(
            f"Best epoch on test: weighted F1 {plus_minus(made.best_on_test.weighted_f1)}. "
            f"Use: {made.best_on_test.use}."
        )


def print_table(table: Table) -> None:
    """Prints a table as wide as it is: in a narrow terminal lines wrap, but no figure is cut."""
    console = Console()
    room = console.options.update(max_width=1000)
    console.width = max(console.width, Measurement.get(console, room, table).maximum)
    console.print(table)


def plus_minus(figure: Figure, scale: float = 1, digits: int = 3) -> str:
    """Mean and standard deviation in words; the mean alone where there is one seed."""
    mean = f"{figure.mean * scale:.{digits}f}"
    return mean if figure.sd is None else f"{mean} ± {figure.sd * scale:.{digits}f}"


def _say_json(what: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")


def _table(title: str, rows: Mapping[str, Figures]) -> Table:
    table = _empty(title, "weighted F1", "95 %", "accuracy", "macro F1", "ECE", "uncalibrated ECE")
    for name, one in rows.items():
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


def _empty(title: str, *columns: str) -> Table:
    """A table without rows, whose first column holds their names."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _classes(made: Evaluation) -> Table:
    title = f"By class: test, {modality_set_name(made.modalities)}; answers in % of the utterances"
    table = _empty(title, "F1", "precision", "recall", "utterances", *made.labels)
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


def _agreement(made: AgreementFigures) -> Table:
    title = (
        "Agreement in the shared encoder: validation; a similarity to utterances with the same "
        f"label of {plus_minus(made.chance)} is chance"
    )
    table = _empty(title, "cosine of gradients", "difference of structures", "to the same label")
    for pair, difference in made.difference.items():
        cosine = made.cosine.get(pair)
        table.add_row(
            pair.replace("_", ", "), plus_minus(cosine) if cosine else "–", plus_minus(difference)
        )
    for name, one in made.same_label.items():
        table.add_row(name, "", "", plus_minus(one))
    return table


def _print_card(card: Card) -> None:
    console = Console()
    title = f"{card.name} {card.version}: test, seeds {', '.join(map(str, card.seeds))}"
    table = _empty(title, *(figure.replace("_", " ") for figure in _FIGURES))
    recalls = _empty("Recall", *card.emotions)
    for name, figures in _of_card(card).items():
        table.add_row(name, *(_plus_minus_of_card(figures[figure]) for figure in _FIGURES))
        classes = card.scores[name]["per_class"]
        recalls.add_row(name, *(f"{classes[emotion]['recall']:.2f}" for emotion in card.emotions))
    print_table(table)
    print_table(recalls)
    encoders: EncoderScores = card.scores.get("encoders", {})
    if encoders:
        print_table(_encoders(encoders))
    console.print(_FROM_CARD)
    for note in card.notes:
        console.print(f"- {note}", markup=False)


def _encoders(encoders: EncoderScores) -> Table:
    figures = list(dict.fromkeys(name for one in encoders.values() for name in one))
    table = _empty("Encoders by themselves", *(name.replace("_", " ") for name in figures))
    for name, one in encoders.items():
        table.add_row(name, *(f"{one[f]:.3f}" if f in one else "" for f in figures))
    return table


def _plus_minus_of_card(one: Mapping[str, float | None]) -> str:
    return f"{one['mean']:.3f}" + ("" if one["sd"] is None else f" ± {one['sd']:.3f}")


if __name__ == "__main__":
    sys.exit(run(main))
