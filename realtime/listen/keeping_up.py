"""Which Whisper models keep up with a conversation on this machine.

The smallest one is loaded, and its encoder reads some seconds of silence. What that takes tells
what larger ones take: their cost grows with their parameters. A measurement depends on what else
the machine does, so only live sessions choose by it; a recording gives the same words every time.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gscon_live.realtime.listen.transcription_source import Words
from gscon_live.realtime.pipeline.settings import Transcription

#: Seconds of sound that are read.
SECONDS = 5.0
#: What reading and decoding take, over the encoder alone.
DECODING = 3.0
#: The largest share of real time that leaves room for words while people speak, and other stages.
SHARE = 0.3
#: The work of a model over that of `tiny.en`. That of `base` was measured, that of `small` follows
#: from its parameters.
WORK = {"tiny.en": 1.0, "base": 2.5, "small": 8.0}

#: Seconds that the encoder of the model in a directory takes for `SECONDS` of sound.
Measure = Callable[[str], float]


def largest(
    present: Sequence[tuple[str, str]], settings: Transcription, measure: Measure | None = None
) -> Words:
    """The words by the largest model that keeps up, and a line that says so; by the smallest where
    none does.

    Args:
        present: names and directories of the models on this machine, the largest first; at least
            one. Names are those of `WORK`.
        settings: where and how the models run.
        measure: times the encoder; None: `encoder_seconds`.
    """
    smallest, directory = present[-1]
    if len(present) == 1:
        return Words(model=directory, notice=f"words: Whisper {smallest}")
    seconds = (measure or (lambda path: encoder_seconds(path, settings)))(directory)
    unit = DECODING * seconds / SECONDS / WORK[smallest]
    shares = {name: unit * WORK[name] for name, _ in present}
    for name, path in present:
        if shares[name] <= SHARE or name == smallest:
            return Words(model=path, notice=_line(name, shares, present[0][0]))
    raise AssertionError("the smallest is one of them")


def _line(name: str, shares: dict[str, float], largest_name: str) -> str:
    keeps = f"words: Whisper {name}, which takes about {shares[name]:.0%} of real time here"
    if name == largest_name:
        return keeps
    return (
        f"{keeps}; {largest_name} would take {shares[largest_name]:.0%} "
        f"(--transcriber {largest_name} takes it all the same)"
    )


def encoder_seconds(directory: str, settings: Transcription) -> float:
    """The time of the model's encoder, the faster of two."""
    import ctranslate2

    model = ctranslate2.models.Whisper(
        str(Path(directory)),
        device=settings.device,
        compute_type=settings.compute_type,
        intra_threads=1,
    )
    frames = round(SECONDS * 100)
    silence = ctranslate2.StorageView.from_array(np.zeros((1, model.n_mels, frames), np.float32))
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        np.asarray(model.encode(silence, to_cpu=True))
        taken.append(time.perf_counter() - began)
    return min(taken)
