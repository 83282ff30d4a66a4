"""`gscon-live evaluate`: the scores of a trained model, measured anew or by its card."""

import re
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

from gscon_live.common.cli import parser, program
from gscon_live.common.errors import InputError
from gscon_live.common.files import write_output
from gscon_live.common.outputs import Outputs
from gscon_live.common.suggestions import did_you_mean
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card, modality_set_name
from gscon_live.train.markdown import ENDINGS
from gscon_live.train.networks.evaluate_run import Material, conversation_material, evaluate, is_run
from gscon_live.train.progress import progress
from gscon_live.train.scoring.encoder_scores import EncoderScores
from gscon_live.train.scoring.evaluation import AgreementFigures, Evaluation, Figure, Figures
from gscon_live.train.strangers.parts import PARTS, Part

EXAMPLES = """
gscon-live evaluate runs/iemocap          a run of train.fit: measures all its seeds
gscon-live evaluate runs/iemocap --json
gscon-live evaluate runs/iemocap/seed-1   one checkpoint: what its card says
gscon-live evaluate live                  the model that ships: what its card says
gscon-live evaluate strangers             the model that ships, on people whom no training met
gscon-live evaluate strangers --only face --json
"""

#: The name that asks for the measures on people whom no training met.
STRANGERS = "strangers"

_FIGURES = ("weighted_f1", "accuracy", "macro_f1", "ece")
_FROM_CARD = "These figures are from the checkpoint's card; nothing was measured now."


def main(words: Sequence[str], material: Material = conversation_material) -> None:
    """Runs the command. `material` gives the features of a run."""
    arguments = parser(
        "gscon-live evaluate",
        "Measures a run on conversations anew, from its checkpoints and the corpus: on validation "
        "and test, with all sets of modalities and in several contexts, over all seeds; and writes "
        "evaluation.json into the run's folder. Of a single checkpoint, and of a run on composed "
        "conversations, prints what the card reports. `strangers` measures a live model and the "
        "encoders that ship on voices, faces and words that no training had.",
        EXAMPLES,
    )
    arguments.add_argument(
        "model", metavar="RUN|CHECKPOINT|strangers", help="a name, a run, a file, or `strangers`"
    )
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    arguments.add_argument(
        "--live-model", metavar="CHECKPOINT", help="strangers: the live model (default: live)"
    )
    arguments.add_argument(
        "--only", action="append", choices=PARTS, help="strangers: one part; may be repeated"
    )
    arguments.add_argument(
        "--markdown", type=Path, metavar="OUT.md", help="strangers: also write Markdown"
    )
    options = arguments.parse_args(words)
    torch.set_num_threads(1)
    if options.model == STRANGERS:
        if options.markdown:
            outputs = Outputs()
            outputs.writes(options.markdown, "--markdown", _is_page, ENDINGS)
            outputs.check()
        _strangers(
            options.live_model or "live", options.only or PARTS, options.json, options.markdown
        )
        return
    for name in ("live_model", "only", "markdown"):
        if getattr(options, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')} goes with `evaluate {STRANGERS}` alone; leave it out"
            )
    target = find_model(options.model)
    if isinstance(target, Path) and is_run(target):
        with progress() as display:
            evaluation = evaluate(target, display.report, material)
        if options.json:
            _print_json(evaluation)
        else:
            print_evaluation(evaluation)
    else:
        card = checkpoint.load(target).card
        if options.json:
            _print_json(card_summary(card))
        else:
            _print_card(card)


def _is_page(head: bytes) -> bool:
    """Whether a file that begins with `head` is a page on strangers."""
    return re.match(rb"Model .*, measured \d{4}-\d\d-\d\d; ", head) is not None


def _strangers(model: str, parts: Sequence[Part], as_json: bool, page: Path | None) -> None:
    # Brings encoders and corpora along, which no other evaluation needs.
    from gscon_live.train.strangers.measure import measure
    from gscon_live.train.strangers.tables import legend, markdown, tables

    with progress() as display:
        measured = measure(model, parts, display.report)
    if page:
        write_output(page, markdown(measured).encode())
    if as_json:
        _print_json(measured)
        return
    for table in tables(measured):
        print_table(table)
    console = Console()
    console.print(legend())
    for note in measured.notes:
        console.print(f"- {note}", markup=False)


def find_model(name: str) -> str | Path:
    """A run or a checkpoint, by name or path: the name of one that ships, or a path.

    Raises:
        InputError: it does not exist.
    """
    if name in checkpoint.names():
        return name
    for path in (Path("runs") / name, Path(name), Path(f"{name}.safetensors")):
        if path.exists():
            return path
    raise InputError(
        f"{name!r}: no such run or checkpoint; {did_you_mean(name, _known())}give one of "
        f"{', '.join(checkpoint.names())}, the folder of a run, or the path of a .safetensors file"
    )


def _known() -> list[str]:
    """The checkpoints that ship, and the runs in this folder."""
    runs = [path.name for path in Path("runs").glob("*") if path.is_dir()]
    return [*checkpoint.names(), *runs]


def card_summary(card: Card) -> dict[str, object]:
    """The scores of a card: by set of modalities, with mean and sd over seeds, and by class."""
    return {
        "name": card.name,
        "version": card.version,
        "source": "card",
        "split": "test",
        "context": card.architecture.mode,
        "seeds": card.seeds,
        "modalities": {
            name: {**figures, "per_class": card.scores[name]["per_class"]}
            for name, figures in _card_figures(card).items()
        },
        "encoders": card.scores.get("encoders", {}),
        "notes": card.notes,
    }


def _card_figures(card: Card) -> dict[str, dict[str, dict[str, float | None]]]:
    """The figures of a card by set of modalities: over seeds, or those of the only seed."""
    over_seeds: dict[str, dict[str, dict[str, float | None]]] = card.scores.get("seeds", {})
    return over_seeds or {
        name: {figure: {"mean": scores[figure], "sd": None} for figure in _FIGURES}
        for name, scores in card.scores.items()
        if "weighted_f1" in scores
    }


def print_evaluation(evaluation: Evaluation) -> None:
    """Prints the figures of a run as tables."""
    console = Console()
    all_modalities = modality_set_name(evaluation.modalities)
    window = f" of {evaluation.context}" if evaluation.context else ""
    console.print(
        f"{evaluation.run}: {evaluation.network} ({evaluation.mode}{window}) on "
        f"{evaluation.corpus}, {all_modalities}; {evaluation.parameters} parameters; seeds "
        f"{', '.join(map(str, evaluation.seeds))}; selected on {evaluation.selection}; mean ± "
        "standard deviation over seeds, 95 % interval over dialogues.",
        markup=False,
        highlight=False,
    )
    for split in ("validation", "test"):
        by_subset = evaluation.splits[split]["as_trained"]
        print_table(_figures_table(f"By modalities: {split}, as trained", by_subset))
    by_context = {
        context.replace("_", " "): by_subset[all_modalities]
        for context, by_subset in evaluation.splits["test"].items()
    }
    print_table(_figures_table(f"By context: test, {all_modalities}", by_context))
    print_table(_class_table(evaluation))
    if evaluation.agreement:
        print_table(_agreement_table(evaluation.agreement))
    if evaluation.ensemble:
        test, validation = evaluation.ensemble["test"], evaluation.ensemble.get("validation")
        validated = (
            f"{plus_minus(validation.weighted_f1)} on validation"
            if validation
            else "each seed has another validation split, so there is no new temperature"
        )
        console.print(
            f"All seeds together (the mean of their probabilities): weighted F1 "
            f"{plus_minus(test.weighted_f1)} on test ({test.interval.low:.3f} to "
            f"{test.interval.high:.3f}), ECE {plus_minus(test.ece)}; "
            f"{validated}.",
            highlight=False,
        )
    if evaluation.best_on_test:
        console.print(
            f"Best epoch on test: weighted F1 {plus_minus(evaluation.best_on_test.weighted_f1)}. "
            f"Use: {evaluation.best_on_test.use}."
        )


def print_table(table: Table) -> None:
    """Prints a table at its full width: a narrow terminal wraps lines, but no figure is cut."""
    console = Console()
    unlimited = console.options.update(max_width=1000)
    console.width = max(console.width, Measurement.get(console, unlimited, table).maximum)
    console.print(table)


def plus_minus(figure: Figure, scale: float = 1, digits: int = 3) -> str:
    """Mean ± standard deviation as text; the mean alone for a single seed."""
    mean = f"{figure.mean * scale:.{digits}f}"
    return mean if figure.sd is None else f"{mean} ± {figure.sd * scale:.{digits}f}"


def _print_json(value: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")


def _figures_table(title: str, rows: Mapping[str, Figures]) -> Table:
    table = _empty_table(
        title, "weighted F1", "95 %", "accuracy", "macro F1", "ECE", "uncalibrated ECE"
    )
    for name, figures in rows.items():
        table.add_row(
            name,
            plus_minus(figures.weighted_f1),
            f"{figures.interval.low:.3f} to {figures.interval.high:.3f}",
            plus_minus(figures.accuracy),
            plus_minus(figures.macro_f1),
            plus_minus(figures.ece),
            plus_minus(figures.ece_uncalibrated),
        )
    return table


def _empty_table(title: str, *columns: str) -> Table:
    """A table without rows; its first column is for their names."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _class_table(evaluation: Evaluation) -> Table:
    modalities, test = modality_set_name(evaluation.modalities), evaluation.test
    title = f"By class: test, {modalities}; answers in % of the utterances"
    table = _empty_table(title, "F1", "precision", "recall", "utterances", *evaluation.labels)
    for (name, figures), row in zip(test.per_class.items(), test.confusion, strict=True):
        table.add_row(
            name,
            plus_minus(figures.f1),
            plus_minus(figures.precision),
            plus_minus(figures.recall),
            str(figures.support),
            *(f"{100 * count / max(sum(row), 1):.0f}" for count in row),
        )
    return table


def _agreement_table(agreement: AgreementFigures) -> Table:
    title = (
        "Agreement in the shared encoder: validation; a similarity to utterances with the same "
        f"label of {plus_minus(agreement.chance)} is chance"
    )
    table = _empty_table(
        title, "cosine of gradients", "difference of structures", "to the same label"
    )
    for pair, difference in agreement.difference.items():
        cosine = agreement.cosine.get(pair)
        table.add_row(
            pair.replace("_", ", "), plus_minus(cosine) if cosine else "–", plus_minus(difference)
        )
    for name, similarity in agreement.same_label.items():
        table.add_row(name, "", "", plus_minus(similarity))
    return table


def _print_card(card: Card) -> None:
    console = Console()
    title = f"{card.name} {card.version}: test, seeds {', '.join(map(str, card.seeds))}"
    table = _empty_table(title, *(figure.replace("_", " ") for figure in _FIGURES))
    recalls = _empty_table("Recall", *card.emotions)
    for name, figures in _card_figures(card).items():
        table.add_row(name, *(_card_plus_minus(figures[figure]) for figure in _FIGURES))
        classes = card.scores[name]["per_class"]
        recalls.add_row(name, *(f"{classes[emotion]['recall']:.2f}" for emotion in card.emotions))
    print_table(table)
    print_table(recalls)
    encoders: EncoderScores = card.scores.get("encoders", {})
    if encoders:
        print_table(_encoder_table(encoders))
    console.print(_FROM_CARD)
    for note in card.notes:
        console.print(f"- {note}", markup=False)


def _encoder_table(encoders: EncoderScores) -> Table:
    figures = list(dict.fromkeys(name for scores in encoders.values() for name in scores))
    table = _empty_table("Encoders by themselves", *(name.replace("_", " ") for name in figures))
    for name, scores in encoders.items():
        table.add_row(name, *(f"{scores[f]:.3f}" if f in scores else "" for f in figures))
    return table


def _card_plus_minus(figure: Mapping[str, float | None]) -> str:
    return f"{figure['mean']:.3f}" + ("" if figure["sd"] is None else f" ± {figure['sd']:.3f}")


if __name__ == "__main__":
    program(main)
