"""Trained models as files: weights as `<name>.safetensors`, beside them a card `<name>.json`."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import safetensors
from safetensors.torch import load_file
from safetensors.torch import save as serialised

from gscon_live.common.errors import InputError
from gscon_live.common.files import write_whole
from gscon_live.common.suggestions import did_you_mean
from gscon_live.model.abstention import ErrorPoint, is_curve
from gscon_live.model.labels import EMOTIONS, MODALITIES
from gscon_live.model.networks.network import Architecture, Network, build, network_class
from gscon_live.model.shipped_weights import FOLDER

#: The checkpoints that ship with the project.
WEIGHTS = FOLDER

_FORMAT = "gscon.checkpoint/1"


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The card of a checkpoint: its settings, training data and measurements.

    `emotions` are its classes, in the order of its probabilities. `encoders` are the identities of
    the encoders whose features it was trained with, by modality; other features are refused.
    `temperature` divides the final logits. `by_presence` has the temperatures for sets of present
    modalities (see `modality_set_name`), and takes precedence. `shifts` are added to the scaled
    logits, by set of modalities and class; a missing set adds nothing. `temperatures` divide the
    logits of the modalities' own heads. `prior` is the mean probability of each emotion on
    validation with all modalities, after temperature and shift; empty where it was not measured.
    `abstention` is the measured error by confidence, see `model.abstention.expected_error`; empty
    where it was not measured. `scores` holds the measurements: set, then figure or class.
    """

    name: str
    version: str
    emotions: list[str]
    encoders: dict[str, str]
    architecture: Architecture
    temperature: float
    temperatures: dict[str, float]
    data: str
    split: str
    seeds: list[int]
    scores: dict[str, Any]
    created: str
    machine: str
    notes: list[str]
    by_presence: dict[str, float] = {}
    shifts: dict[str, list[float]] = {}
    prior: list[float] = []
    abstention: list[ErrorPoint] = []
    recipe: dict[str, Any] = {}
    format: str = _FORMAT

    @property
    def context(self) -> int:
        """Length of the window in utterances."""
        return self.architecture.context

    @property
    def dims(self) -> dict[str, int]:
        """Lengths of the feature vectors, by modality."""
        return self.architecture.dims

    def require(self, modality: str, identity: str) -> None:
        """Raises `InputError` for an encoder other than the one of the training."""
        trained = self.encoders.get(modality)
        if trained != identity:
            raise InputError(
                f"checkpoint {self.name!r} was trained with the {modality} encoder {trained!r}, "
                f"not with {identity!r}; use that encoder, or a checkpoint trained with this one"
            )

    def require_live(self) -> None:
        """Raises `InputError` for a checkpoint that cannot run live: other emotions or modalities
        than the project's, or a network that needs future utterances."""
        if tuple(self.emotions) != EMOTIONS:
            raise InputError(
                f"checkpoint {self.name!r}: made for the emotions {', '.join(self.emotions)}; live "
                f"and replay answer with {', '.join(EMOTIONS)}, in this order; take another"
            )
        if self.architecture.modalities != MODALITIES:
            raise InputError(
                f"checkpoint {self.name!r}: made for {', '.join(self.architecture.modalities)} "
                f"alone; live and replay have {', '.join(MODALITIES)}; take another"
            )
        if self.architecture.mode == "full":
            raise InputError(
                f"checkpoint {self.name!r}: in mode full it needs the whole conversation; take one "
                "of mode causal or buffer"
            )

    def require_prior(self) -> None:
        """Raises `InputError` where the card has no prior that another could replace."""
        if not self.prior or min(self.prior) <= 0:
            raise InputError(
                f"checkpoint {self.name!r} has no prior; leave "
                "recognition.prior out, or train it anew with `gscon-live fit`"
            )


@dataclass(frozen=True)
class Checkpoint:
    """A trained network in evaluation mode, and its card."""

    model: Network
    card: Card


def modality_set_name(modalities: Iterable[str]) -> str:
    """The name of a set of modalities, for example `text+visual`; `nothing` for the empty set."""
    available = set(modalities)
    return "+".join(m for m in MODALITIES if m in available) or "nothing"


def save(path: Path, model: Network, card: Card) -> None:
    """Writes `<path>.safetensors`, `<path>.json` and the readable card `<path>.md`."""
    stem = path.with_suffix("") if path.suffix == ".safetensors" else path
    stem.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    files = {
        ".safetensors": serialised(state),
        ".json": msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n",
        ".md": describe(card).encode(),
    }
    for suffix, content in files.items():
        write_whole(_beside(stem, suffix), content)


def load(name_or_path: str | Path) -> Checkpoint:
    """Loads a checkpoint: one that ships, by name (`live`), or the path of its `.safetensors`.

    Raises:
        InputError: no such checkpoint, a damaged file, or weights and card do not match.
    """
    weights = _find(name_or_path)
    card = _read_card(weights.with_suffix(".json"), weights)
    try:
        model = build(card.architecture)
    except InputError as error:
        raise InputError(f"checkpoint {weights}: {error}") from error
    try:
        model.load_state_dict(load_file(weights))
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            f"checkpoint {weights}: cannot be read ({_one_line(error)}); it may be cut short, "
            "copy it again"
        ) from error
    except RuntimeError as error:
        raise InputError(
            f"checkpoint {weights}: its weights do not fit the network that its card "
            f"{weights.with_suffix('.json').name} describes; keep the two files of one training"
        ) from error
    for name, value in model.state_dict().items():
        if value.is_floating_point() and value.isnan().any():
            raise InputError(
                f"checkpoint {weights}: {name} has values that are no numbers; copy it again, or "
                "train it anew"
            )
    return Checkpoint(model.eval().requires_grad_(False), card)


def read_card(name_or_path: str | Path) -> Card:
    """The card of a checkpoint, without its weights. Raises `InputError` as `load` does."""
    weights = _find(name_or_path)
    return _read_card(weights.with_suffix(".json"), weights)


def weights_file(name_or_path: str | Path) -> Path:
    """The file of a checkpoint's weights; its card is beside it. Raises `InputError` where there is
    no such checkpoint."""
    return _find(name_or_path)


def names() -> list[str]:
    """The names of the checkpoints that ship with the project."""
    return sorted(path.stem for path in WEIGHTS.glob("*.json") if path.with_suffix(".md").is_file())


def describe(card: Card) -> str:
    """The card in Markdown."""
    lines = [f"# {card.name} {card.version}", ""]
    lines += [f"Made {card.created} on {card.machine}.", "", "## What it was trained on", ""]
    lines += [card.data, "", card.split, "", "## What to know", ""]
    lines += [f"- {note}" for note in card.notes]
    lines += ["", "## What it needs", "", "| modality | encoder | length |", "|---|---|---|"]
    a = card.architecture
    lines += [f"| {m} | `{card.encoders[m]}` | {card.dims[m]} |" for m in a.modalities]
    lines += [
        "",
        f"{_network(a)}; temperature {card.temperature:.3f}; "
        f"seed(s) {', '.join(map(str, card.seeds))}.",
        "",
        "## What was measured",
        "",
    ]
    figures = {
        name: value
        for name, value in card.scores.items()
        if isinstance(value, dict) and "weighted_f1" in value
    }
    if figures:
        lines += ["| set | weighted F1 | accuracy | macro F1 | mean recall | ECE | utterances |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [
            f"| {name} | {f['weighted_f1']:.3f} | {f['accuracy']:.3f} | {f['macro_f1']:.3f} "
            f"| {f['balanced_accuracy']:.3f} | {f['ece']:.3f} | {f['count']} |"
            for name, f in figures.items()
        ]
        lines += ["", "Recall by class:", "", f"| set | {' | '.join(card.emotions)} |"]
        lines += ["|---" * (1 + len(card.emotions)) + "|"]
        for name, figure in figures.items():
            recall = [f"{figure['per_class'][emotion]['recall']:.2f}" for emotion in card.emotions]
            lines += [f"| {name} | {' | '.join(recall)} |"]
    if card.abstention:
        lines += ["", "Measured error by confidence:", "", "| confidence | error |", "|---|---|"]
        lines += [f"| {point.confidence:.2f} | {point.error:.3f} |" for point in card.abstention]
    return "\n".join(lines) + "\n"


def _network(a: Architecture) -> str:
    title = network_class(a.network).__name__
    context = {
        "full": "the whole conversation",
        "causal": f"a memory of {a.memory} utterances",
        "buffer": f"a window of {a.context} utterances",
    }
    layers = f"{a.layers} layer(s)" + (" per modality" if a.network == "gscon" else "")
    return f"{title}, mode {a.mode}, {context[a.mode]}, width {a.width}, {layers}"


def _find(name_or_path: str | Path) -> Path:
    shipped = WEIGHTS / f"{name_or_path}.safetensors"
    if shipped.parent == WEIGHTS and shipped.with_suffix(".md").is_file():
        return shipped
    path = Path(name_or_path)
    if path.is_dir():
        candidates = sorted(path.glob("*.safetensors"))
        if len(candidates) == 1:
            return candidates[0]
    if path.suffix != ".safetensors":
        path = _beside(path, ".safetensors")
    if path.is_file():
        return path
    raise InputError(
        f"checkpoint {str(name_or_path)!r}: no such file, and not one of {', '.join(names())}; "
        f"{did_you_mean(str(name_or_path), names())}"
        "give one of these names or the path of a .safetensors file"
    )


def _read_card(path: Path, weights: Path) -> Card:
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except OSError as error:
        raise InputError(
            f"checkpoint {weights}: its card {path.name} is missing; keep the two files together"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"checkpoint card {path}: {_one_line(error)}; copy it again") from error
    if card.format != _FORMAT:
        raise InputError(f"checkpoint card {path}: format {card.format!r}, expected {_FORMAT!r}")
    if len(card.emotions) != card.architecture.classes:
        raise InputError(
            f"checkpoint card {path}: {len(card.emotions)} emotions for a network of "
            f"{card.architecture.classes}; copy it again"
        )
    for name, shift in card.shifts.items():
        if len(shift) != card.architecture.classes:
            raise InputError(
                f"checkpoint card {path}: {len(shift)} shifts for {name}, one for each of "
                f"{card.architecture.classes} emotions expected; copy it again"
            )
    if len(card.prior) not in (0, card.architecture.classes):
        raise InputError(
            f"checkpoint card {path}: a prior of {len(card.prior)}, one number for each of "
            f"{card.architecture.classes} emotions expected; copy it again"
        )
    for temperature in (card.temperature, *card.temperatures.values(), *card.by_presence.values()):
        if not 0 < temperature < math.inf:
            raise InputError(
                f"checkpoint card {path}: a temperature of {temperature}, a number above 0 "
                "expected; copy it again"
            )
    if not is_curve(card.abstention):
        raise InputError(
            f"checkpoint card {path}: abstention is no curve; expected numbers from 0 to 1, "
            "confidences that grow, and errors that never do; copy it again"
        )
    for by_modality in (card.encoders, card.temperatures):
        if set(by_modality) != set(card.dims):
            raise InputError(
                f"checkpoint card {path}: expected entries for {', '.join(card.dims)}, "
                f"found {', '.join(by_modality) or 'none'}; copy it again"
            )
    return card


def _beside(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
