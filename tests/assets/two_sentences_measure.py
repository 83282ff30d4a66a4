"""How often the test recogniser is wrong, and the README that says so.

Part of `make_two_sentences.py`.
"""

import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import faster_whisper
import torch
from two_sentences_sound import SENTENCES, Clip


def plain(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def errors(wanted: Sequence[str], found: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions of words."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1]


def measure(directory: Path, clips: Sequence[Clip], *, cut: bool = False, **options: Any) -> float:
    """Word error rate through faster-whisper; `cut`: with margins of 0.1 s only."""
    compute_type = options.pop("compute_type", "int8")
    recogniser = faster_whisper.WhisperModel(
        str(directory), device="cpu", compute_type=compute_type, cpu_threads=1
    )
    wrong = count = 0
    for clip in clips:
        samples = clip.cut(0.1) if cut else clip.samples
        segments, _ = recogniser.transcribe(
            samples,
            language="en",
            beam_size=1,
            without_timestamps=True,
            condition_on_previous_text=False,
            **options,
        )
        wanted = plain(SENTENCES[clip.sentence])
        wrong += errors(wanted, plain(" ".join(one.text for one in segments)))
        count += len(wanted)
    return wrong / count


README = """# A test recogniser of two sentences

For tests alone. It is no speech recogniser and never a default: it knows the two sentences of the
RAVDESS recordings, "Kids are talking by the door." and "Dogs are sitting by the door.", and hears
one of them in whatever is said to it. It exists so that the tests can pass real human speech
through faster-whisper on machines where no Whisper weights can be had.

- Architecture: Whisper, English only, {parameters:,} parameters (2 encoder layers and 1 decoder
  layer of width 64), trained from random weights; no one else's weights are in it. Without
  timestamps: use `without_timestamps=True`.
- Data: RAVDESS (Livingstone and Russo, 2018, doi:10.1371/journal.pone.0196391), speech, actors 1
  to 18; actors 19 and 20 to decide when to stop. RAVDESS is licensed CC BY-NC-SA 4.0; so are the
  weights in this folder, unlike the project's code: for research, not commercially, share alike.
- Made by `{line}` on {day}
  ({machine}): {training}.

Word error rate on actors 21 to 24 ({count} recordings, lower case, no punctuation), measured by
the same command through faster-whisper {whisper} (CPU, greedy, without timestamps):

| what is recognised | word error rate |
|---|---|
{rows}

One and the same answer for everything would make 16.67 %, as the sentences differ in two of six
words. These numbers speak of unheard voices saying the two sentences, and of no other speech.
"""


def describe(
    directory: Path, clips: Sequence[Clip], *, parameters: int, line: str, training: str
) -> None:
    """Measures the recogniser in `directory` on `clips` and writes its README there."""
    rows = []
    for what, cut, options in (
        ("whole recordings, int8", False, {"temperature": 0.0}),
        ("whole recordings, float32", False, {"temperature": 0.0, "compute_type": "float32"}),
        ("whole recordings, int8, default temperature fallback", False, {}),
        ("cut to 0.1 s around the speech, int8", True, {"temperature": 0.0}),
    ):
        rate = measure(directory, clips, cut=cut, **options)
        rows.append(f"| {what} | {rate:.2%} |")
        print(f"{what}: word error rate {rate:.2%}", flush=True)
    text = README.format(
        parameters=parameters,
        line=line,
        training=training,
        day=date.today().isoformat(),
        machine=f"{platform.system()} {platform.machine()}, torch {torch.__version__}",
        count=len(clips),
        whisper=faster_whisper.__version__,
        rows="\n".join(rows),
    )
    (directory / "README.md").write_text(text, encoding="utf-8")
