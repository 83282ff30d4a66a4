"""How late answers are on a machine that has far more to do than it can."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gscon_live.realtime.bench import whisper_model
from gscon_live.realtime.bench.measure import RecordedSession, plan_for
from gscon_live.realtime.bench.media import SAMPLE
from gscon_live.realtime.pipeline.settings import Settings

#: Programs for each core that take all of it that they can get.
PROGRAMS = 10


@contextlib.contextmanager
def busy(programs: int) -> Iterator[None]:
    """So many programs run that do nothing but calculate."""
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(programs)
    ]
    try:
        yield
    finally:
        for program in running:
            program.kill()
        for program in running:
            program.wait()


def load(settings: Settings, path: Path = SAMPLE) -> dict[str, Any]:
    """Seconds from the end of speech to the event in a live session beside `PROGRAMS` busy programs
    for each core, and the share of answers whose words were left out to be in time. Empty where no
    Whisper model is on this machine."""
    chosen = whisper_model.model_here(settings)
    if chosen is None:
        return {}
    model, settings = chosen
    programs = PROGRAMS * (os.cpu_count() or 1)
    with busy(programs):
        session = RecordedSession(plan_for(path, settings, captions="off", live=True)).run()
    answers = [event for _, event in session.utterances()]
    delays = [event.latency.end_of_speech_to_event for event in answers if event.latency]
    without = [event for event in answers if event.modalities.text.left_out]
    return {
        "busy_programs": programs,
        "busy_model": Path(model).name,
        "busy_answers": len(answers),
        "busy_end_of_speech_to_event_p50_s": float(np.percentile(delays, 50)),
        "busy_end_of_speech_to_event_max_s": max(delays),
        "busy_left_out_share": len(without) / len(answers),
    }
