"""`gscon-live bench-train`: the cost of the consistency losses in training, and of an answer."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from gscon_live.common import extras

extras.require("train", __name__)

import msgspec
import torch
from rich.console import Console
from rich.table import Table

from gscon_live.common.cli import parser, program
from gscon_live.model import checkpoint
from gscon_live.train.bench import cost, words
from gscon_live.train.progress import Display, progress
from gscon_live.train.runs.provenance import provenance

EXAMPLES = """
gscon-live bench-train
gscon-live bench-train --json > bench.json
gscon-live bench-train --quick      (seconds, at sizes that show that it works and no more)
"""

MEANING = {
    "gdc_step_overhead": "training step with GDC and SSC / without",
    "gdc_vs_per_sample": "step with GDC as released, sample by sample / ours",
    "gdc_vs_per_sample_same_encoder": "the same, with our shared encoder / ours",
    "step_ms": "training step without GDC and SSC, processor time",
    "inference_p95_ms": "answer late in a conversation, 95th percentile",
    "inference_p50_ms": "the same, median",
    "inference_growth": "answer late in a conversation / early",
    "face_p95_ms": "one face, 95th percentile",
    "words_p95_ms": "an utterance in its conversation, small text encoder, 95th percentile",
    "words_millions": "its parameters, in millions",
    "words_large_p95_ms": "the same, large text encoder",
    "words_large_bf16_p95_ms": "the same in bfloat16, which is fast with AMX",
    "words_large_millions": "its parameters, in millions",
    "words_large_step_ms": "training step of the large text encoder in mixed precision",
    "words_large_full_step_overhead": "the same in full precision / in mixed precision",
}


def main(given: Sequence[str]) -> None:
    """Runs the command."""
    arguments = parser(
        "gscon-live bench-train",
        "Measures what GDC and SSC add to a training step, what an answer costs as a "
        "conversation goes on, what a face and the words of an utterance cost, and a training step "
        "of a large text encoder. On one core, with random weights and features (of the face "
        "encoder, random faces).",
        EXAMPLES,
    )
    arguments.add_argument("--json", action="store_true", help="machine-readable")
    arguments.add_argument("--quick", action="store_true", help="small sizes, in seconds")
    arguments.add_argument("--seed", type=int, default=0, help="of all random numbers (default: 0)")
    options = arguments.parse_args(given)
    figures = measure(cost.QUICK if options.quick else cost.Settings(), options.seed)
    if options.json:
        print(msgspec.json.encode(figures).decode())
        return
    table = Table("figure", "value", "what it is")
    for key, meaning in MEANING.items():
        table.add_row(key, f"{figures[key]:.3g}", meaning)
    console = Console()
    console.print(table)
    s = figures["settings"]
    console.print(
        f"Training: GSCon at d = {s['width']}, {s['dialogues']} dialogues of {s['utterances']} "
        f"utterances; sample by sample, {s['windows']} windows of {s['context']}. Answers: the "
        f"size that ships, causal, utterances {s['early']} and {s['late']}. {figures['date']}; "
        f"{figures['machine']}; seed {figures['seed']}.",
        highlight=False,
    )


def measure(settings: cost.Settings, seed: int) -> dict[str, Any]:
    """All figures by the names of `MEANING`, with the settings and the machine."""
    torch.set_num_threads(1)
    included = checkpoint.read_card("live").architecture
    gscon = msgspec.structs.replace(included, network="gscon", experts=False)
    figures: dict[str, Any] = {}
    with progress() as display:
        for title, measurement, ticks in (
            ("training steps", cost.gdc_step_overhead, settings.repetitions),
            ("gradients of single samples", cost.gdc_vs_per_sample, settings.slow_repetitions),
            ("a long conversation", cost.inference, settings.late + settings.answers),
        ):
            figures |= measurement(gscon, settings, seed, _tick(display, ticks, title))
        figures |= cost.face(settings, seed, _tick(display, settings.answers, "faces"))
        figures |= words.words(settings, seed, _tick(display, settings.answers // 5, "words"))
        steps = _tick(display, settings.slow_repetitions, "training steps of a text encoder")
        figures |= words.words_training(settings, seed, steps)
    origin = provenance()
    return {
        **{key: figures[key] for key in MEANING},
        "settings": msgspec.to_builtins(settings),
        "shipped": msgspec.to_builtins(msgspec.structs.replace(gscon, mode="causal")),
        "date": origin["created"],
        "machine": f"{origin['machine']}, 1 thread",
        "seed": seed,
    }


def _tick(display: Display, total: int, title: str) -> Callable[[], None]:
    """A function that counts up to a total on a display."""
    done = count(1)
    return lambda: display.report(next(done), total, title)


if __name__ == "__main__":
    program(main)
