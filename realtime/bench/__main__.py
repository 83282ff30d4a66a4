"""`gscon-live bench`: the pipeline's speed and memory, measured in real sessions."""

import argparse

from gscon_live.common import extras

extras.require("live", __name__)

import platform
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from gscon_live.common import cli
from gscon_live.configs import loader
from gscon_live.realtime.bench import archive_speed, busy_machine, measure, media
from gscon_live.realtime.pipeline.settings import Settings

EXAMPLES = """
gscon-live bench
gscon-live bench --json > bench.json
gscon-live bench --minutes 60      (memory over an hour of conversation)
"""

MEASUREMENTS = ["replay", "latency", "words", "idle", "memory", "archive"]
#: These are made where they are asked for: they need another extra, or take all of the machine.
MORE_MEASUREMENTS = ["page", "load"]

MEANING = {
    "replay_realtime_factor": "replay of the sample, times real time (captions)",
    "end_of_speech_to_event_p50_s": "live: end of speech to event, median",
    "end_of_speech_to_event_p95_s": "live: end of speech to event, 95th percentile",
    "segmentation_hangover_s": "of which the configured hangover, at least",
    "transcription_p50_s": "transcription, while the hangover runs (Whisper tiny's size)",
    "features_p50_s": "text and audio features, likewise",
    "fusion_p50_s": "fusion",
    "transcription_model": "words, with this model, where one is on this machine:",
    "start_to_listening_s": "start of a live session until it listens, models loaded",
    "replay_words_realtime_factor": "replay of the sample, times real time (transcribed)",
    "first_words_p50_s": "start of speech to the first words, median",
    "first_words_p95_s": "the same, 95th percentile",
    "first_stable_words_p50_s": "start of speech to the first words that stay, median",
    "between_words_p95_s": "between two readings of the words so far, 95th percentile",
    "answer_after_hangover_p50_s": "the hangover's end to the event, median",
    "answer_after_hangover_p95_s": "the same, 95th percentile",
    "idle_cpu_percent": "processor while nobody speaks, camera off, % of one core",
    "peak_memory_mb": "memory of all processes, MB, at most",
    "memory_growth_mb_per_hour": "memory growth, MB per hour of conversation",
    "cost_growth": "cost of an utterance at the end over one near the start",
    "page_replay_ratio": "speed of a replay with the page and a viewer, over that without",
    "busy_programs": "so many other programs take what they can get of all cores:",
    "busy_model": "words, with this model",
    "busy_answers": "answers",
    "busy_end_of_speech_to_event_p50_s": "end of speech to event, median",
    "busy_end_of_speech_to_event_max_s": "end of speech to event, at most",
    "busy_left_out_share": "answers whose words were left out, to be in time",
    "archive_hours_per_hour": "archive: hours of recording an hour (captions)",
    "archive_workers": "with so many workers",
    "archive_times_one_process": "how many times as fast as one worker, in the same run",
    "archive_processor_s_per_hour": "processor time of the stages for an hour of recording, s",
    "archive_over_stages": "time of all workers, with start-up, over that of the stages",
    "archive_megabytes_per_hour": "results of an hour of recording, MB",
    "archive_tables_s_per_hour": "processor time of tables and index for an hour of recording, s",
}


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser("gscon-live bench", "Measures speed and memory of the pipeline.", EXAMPLES)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument(
        "--minutes",
        type=float,
        default=10.0,
        help="length of the long replay, and of an archive's recordings together (default: 10)",
    )
    parser.add_argument(
        "--only",
        choices=[*MEASUREMENTS, *MORE_MEASUREMENTS],
        nargs="+",
        default=MEASUREMENTS,
        help="which measurements (default: all but page, which needs the extra web, and load, "
        "which takes all of the machine)",
    )
    return parser


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    # A setting after --only would be taken for a measurement.
    settings_first = sorted(arguments, key=lambda word: not cli.is_override(word))
    chosen = _parser().parse_args(settings_first)
    settings = loader.load("live", Settings, chosen.overrides)
    console = Console(stderr=True)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="gscon-bench-") as name, console.status("") as status:
        folder = Path(name)
        if "replay" in chosen.only:
            status.update("replaying the sample")
            figures |= measure.replay_factor(settings)
        if "latency" in chosen.only:
            status.update("a live session of 45 s, with a Whisper model of tiny's size")
            figures |= measure.latency(_with_whisper(settings, folder))
            figures["segmentation_hangover_s"] = settings.segmentation.hangover
        if "words" in chosen.only:
            status.update("a replay and a live session, with the Whisper model of this machine")
            figures |= measure.words(settings)
        if "idle" in chosen.only:
            status.stop()  # it takes processor time
            console.print("a live session of 20 s in which nobody speaks")
            quiet = media.silence(folder / "silence.wav", 20)
            figures |= measure.idle(_with_whisper(settings, folder), quiet)
            status.start()
        if "memory" in chosen.only:
            status.update(f"replaying {chosen.minutes:.0f} minutes of conversation")
            long = media.repeated(folder / "long.mkv", chosen.minutes * 60)
            figures |= measure.memory(settings, long)
        if "archive" in chosen.only:
            status.update(f"an archive of {chosen.minutes:.0f} minutes, with all workers and one")
            figures |= archive_speed.archive(settings, folder, chosen.minutes)
        if "page" in chosen.only:
            from gscon_live.realtime.bench import page_cost

            status.update("six replays of the sample, with the page and without")
            figures |= page_cost.page(settings)
        if "load" in chosen.only:
            status.update("a live session of 45 s beside many busy programs")
            figures |= busy_machine.load(settings)
    figures |= {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}",
        "seed": 0,
    }
    if chosen.json:
        print(msgspec.json.encode(figures).decode())
        return
    table = Table("figure", "value", "what it is")
    for key, value in figures.items():
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        table.add_row(key, shown, MEANING.get(key, ""))
    Console().print(table)


def _with_whisper(settings: Settings, folder: Path) -> Settings:
    """The settings, with a Whisper model of tiny's real size and random weights."""
    from gscon_live.realtime.bench import random_whisper

    directory = folder / "whisper-tiny-random"
    if not directory.exists():
        directory.mkdir()
        random_whisper.make_tiny(directory)
    transcription = msgspec.structs.replace(
        settings.transcription, transcriber=str(directory), language="en"
    )
    return msgspec.structs.replace(settings, transcription=transcription)


if __name__ == "__main__":
    cli.program(main)
