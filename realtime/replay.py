"""`gscon-live replay VIDEO...`: the emotions of recorded conversations.

The same file gives the same events, byte for byte, on every run.
"""

import argparse
import contextlib
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gscon_live.common import extras

extras.require("live", __name__)

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.display.terminal import Notices, ReplayProgress
from gscon_live.realtime.events import schema, sinks
from gscon_live.realtime.listen import transcription_source
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.model_checks import check_detector, check_models
from gscon_live.realtime.session.planned_outputs import check_outputs
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.session import Session
from gscon_live.realtime.session.session_plan import Plan

EXAMPLES = """
gscon-live replay interview.mp4
gscon-live replay interview.mp4 --events out.jsonl --report out.html
gscon-live replay interview.mp4 --captions interview.srt
gscon-live replay interview.mp4 --captions off --transcriber ~/models/whisper-small
gscon-live replay a.mkv b.mkv --events both.jsonl segmentation.hangover=0.4
"""


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live replay",
        "Recognises the emotion of every utterance of recorded conversations.",
        EXAMPLES,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="VIDEO|key=value",
        help="any file that FFmpeg reads, and settings to change",
    )
    parser.add_argument(
        "--events", metavar="OUT.jsonl", help="write the events to a file (-: standard output)"
    )
    parser.add_argument(
        "--captions",
        default="auto",
        metavar="auto|off|FILE",
        help="words and utterance bounds from captions: the file's own or beside it (auto), "
        "none (off), or a caption file (.vtt, .srt, .ass, .ttml, .sbv)",
    )
    parser.add_argument(
        "--transcriber",
        metavar="auto|off|NAME|DIR",
        help="recognise the words with a faster-whisper model, by name or directory",
    )
    parser.add_argument("--report", metavar="OUT.html", help="write a page to read in a browser")
    parser.add_argument(
        "--speed", default="max", metavar="max|FACTOR", help="1 is the pace of life (default: max)"
    )
    parser.add_argument("--config", default="live", help="a set-up by name or path (default: live)")
    parser.add_argument("--publish", metavar="ENDPOINT", help="publish the events over ZeroMQ too")
    parser.add_argument("--no-text", action="store_true", help="keep the words out of the events")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    parser = _parser()
    chosen = parser.parse_intermixed_args(arguments)
    videos = [word for word in chosen.words if not cli.is_override(word)]
    overrides = [word for word in chosen.words if cli.is_override(word)]
    if not videos:
        parser.error("give at least one VIDEO")
    if chosen.transcriber is not None:
        overrides.append(loader.override("transcription.transcriber", chosen.transcriber))
    if chosen.no_text:
        overrides.append(loader.override("publish.text", False))
    settings = loader.load(chosen.config, Settings, overrides)
    speed = _speed(chosen.speed)
    cli.terminate_like_interrupt()
    notices = Notices(quiet=chosen.quiet)
    _check_words(settings, chosen.captions)
    events = None if chosen.events == "-" else chosen.events
    check_outputs(
        config=chosen.config,
        inputs=_inputs(chosen),
        recordings=[Path(video) for video in videos],
        events=events,
        report=chosen.report,
        publish=chosen.publish,
    )
    model = check_models(settings)
    opened = [open_recording(video, settings, chosen.captions, notices) for video in videos]
    # Refused now rather than after a download: an address that is in use, or keys that are wrong.
    Publisher(chosen.publish, "", settings.publish.curve).close()
    plans = [plan_of(recording, settings, speed, notices) for recording in opened]
    events_file = None if events is None else sinks.for_path(events)
    complete = True
    with contextlib.ExitStack() as stack:
        outputs: list[sinks.Sink] = []
        if chosen.events == "-":
            outputs.append(sinks.JsonLines(sys.stdout))
        elif events_file is not None:
            outputs.append(stack.enter_context(contextlib.closing(events_file)))
        if not chosen.quiet and chosen.events != "-":
            outputs.append(sinks.Text(sys.stdout))
        kept = stack.enter_context(_kept_events()) if chosen.report else None
        if kept is not None:
            outputs.append(stack.enter_context(contextlib.closing(sinks.JsonLines(kept))))
        try:
            for plan, duration in plans:
                complete = _replay(plan, duration, outputs, chosen, settings, model) and complete
                if not complete:
                    break
        finally:
            if kept is not None and kept.exists():
                _write_report(kept, Path(chosen.report), videos)
    if not complete:
        return cli.INTERRUPTED
    for path in (chosen.events, chosen.report):
        if path not in (None, "-"):
            notices.say(f"wrote {path}")
    return cli.OK


def _replay(
    plan: Plan,
    duration: float,
    outputs: list[sinks.Sink],
    chosen: argparse.Namespace,
    settings: Settings,
    model: schema.ModelInfo,
) -> bool:
    assert plan.recording is not None
    name = Path(plan.recording).name
    with (
        Publisher(chosen.publish, plan.session, settings.publish.curve) as publisher,
        ReplayProgress(name, duration, shown=not chosen.quiet) as progress,
    ):
        session = Session(
            plan, publisher, outputs, model=model, source=name, on_tick=progress.reach
        )
        return session.run()


class Recorded(NamedTuple):
    """What is known of a recording before its replay. `duration` in seconds; `content` is a hash
    of the file and of its captions."""

    path: str
    session: str
    duration: float
    captions: str
    has_audio: bool
    has_video: bool
    has_captions: bool
    content: str


def plan_for(
    video: str, settings: Settings, captions: str, speed: float | None, notices: Notices
) -> tuple[Plan, float]:
    """The plan for the replay of a recording, and its duration in seconds."""
    _check_words(settings, captions)
    return plan_of(open_recording(video, settings, captions, notices), settings, speed, notices)


def open_recording(video: str, settings: Settings, captions: str, notices: Notices) -> Recorded:
    """Looks into a recording and its captions; loads and downloads no model.

    Raises:
        InputError: the recording or the captions cannot be used, or the face detector.
    """
    source = RecordingSource(
        video,
        settings.recording,
        captions=captions,
        frame_rate=settings.camera.rate,
    )
    source.open()
    try:
        faces = check_detector(settings) if source.has_video else None
        for notice in source.notices:
            notices.say(notice)
        if faces:
            notices.once(faces)
        uses_captions = source.has_captions and not _names_transcriber(settings)
        if not source.has_audio and not uses_captions:
            raise InputError(
                f"{video}: has no audio track and no captions, so there is nothing to cut into "
                "utterances; give its words with --captions FILE.vtt"
            )
        content = source.digest()
        session = hashlib.blake2b(
            f"{content} {settings.recognition.checkpoint}".encode(), digest_size=8
        ).hexdigest()
        return Recorded(
            path=str(Path(video).resolve()),
            session=session,
            duration=source.duration,
            captions=str(source.captions_path) if source.captions_path else captions,
            has_audio=source.has_audio,
            has_video=source.has_video,
            has_captions=source.has_captions,
            content=content,
        )
    finally:
        source.close()


def plan_of(
    recorded: Recorded, settings: Settings, speed: float | None, notices: Notices
) -> tuple[Plan, float]:
    """The plan for a recording that was opened, and its duration in seconds. Downloads the model
    that writes the words if there is need."""
    words = transcription_source.choose(settings.transcription, recorded.has_captions, notices.say)
    if words.notice:
        notices.once(words.notice)
    plan = Plan(
        session=recorded.session,
        settings=settings,
        live=False,
        words=words,
        has_audio=recorded.has_audio,
        has_video=recorded.has_video,
        recording=recorded.path,
        captions=recorded.captions,
        speed=speed,
    )
    return plan, recorded.duration


def _inputs(chosen: argparse.Namespace) -> list[tuple[Path, str]]:
    """The files that are read beside the recordings and the configuration."""
    given = chosen.captions not in ("auto", "off")
    return [(Path(chosen.captions), "the captions")] if given else []


def _names_transcriber(settings: Settings) -> bool:
    """Whether a transcriber writes the words, captions or not."""
    transcription = settings.transcription
    return not transcription_source.is_automatic(transcription) and (
        transcription.transcriber != "off"
    )


def _check_words(settings: Settings, captions: str) -> None:
    """Refuses two sources of words."""
    if captions not in ("auto", "off") and _names_transcriber(settings):
        raise InputError(
            f"--captions {captions} and --transcriber {settings.transcription.transcriber} "
            "both give the words; choose one of them"
        )


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise InputError(f"--speed {text}: expected max or a factor above 0, for example 1")
    return factor


@contextlib.contextmanager
def _kept_events() -> Iterator[Path]:
    """A temporary file for the events of the report."""
    with tempfile.TemporaryDirectory(prefix="gscon-report-") as folder:
        yield Path(folder) / "events.jsonl"


def _write_report(kept: Path, path: Path, videos: list[str]) -> None:
    from gscon_live.realtime.display.report_page import write_report

    first, *others = (Path(video).name for video in videos)
    title = ", ".join([first, *others]) if len(others) < 3 else f"{first} and {len(others)} more"
    with kept.open("rb") as lines:
        write_report((schema.decode(line) for line in lines), path, title)


if __name__ == "__main__":
    sys.exit(cli.run(main))
