"""`gscon-live replay VIDEO...`: the emotions of recorded conversations.

The same file gives the same events, byte for byte, on every run.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from gscon_live.common import extras, signals

signals.exit_at_once_in(__name__)
extras.require("live", __name__)

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.configs import loader
from gscon_live.realtime.capture import recording_inputs, streams
from gscon_live.realtime.capture.media_file import check_file
from gscon_live.realtime.capture.recording_inputs import RecordingInput
from gscon_live.realtime.display.terminal import Listener, Notices, ReplayProgress
from gscon_live.realtime.events import schema, sinks
from gscon_live.realtime.pipeline.settings import Settings, of_options
from gscon_live.realtime.session.model_checks import check_models
from gscon_live.realtime.session.page_process import PageProcess, check_page
from gscon_live.realtime.session.planned_outputs import check_outputs
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.recorded import Recorded, check_words, open_recording, plan_of
from gscon_live.realtime.session.session import Session
from gscon_live.realtime.session.session_plan import Plan
from gscon_live.realtime.session.surroundings import check_surroundings
from gscon_live.realtime.session.tally import Tally

EXAMPLES = """
gscon-live replay interview.mp4
gscon-live replay interview.mp4 --events out.jsonl --report out.html
gscon-live replay interview.mp4 --page --speed 1
gscon-live replay interview.mp4 --captions interview.srt
gscon-live replay interview.mp4 --captions off --transcriber ~/models/whisper-small
gscon-live replay a.mkv b.mkv --events both.jsonl segmentation.hangover=0.4
gscon-live replay interviews/ --events all.csv --report all.html
gscon-live replay -- -talk.mp4
gscon-live replay - < talk.mp4
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
        help="any file that FFmpeg reads, a folder, a pattern, a named pipe, - for standard input, "
        "or a URL; and settings to change",
    )
    parser.add_argument(
        "--allow-url", action="store_true", help="open URLs: http, https, rtsp and others"
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
    parser.add_argument(
        "--page", action="store_true", help="show it in the browser; stays until Ctrl-C"
    )
    parser.add_argument("--preview", action="store_true", help="--page, opened in your browser")
    parser.add_argument("--no-text", action="store_true", help="keep the words out of the events")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    signals.exit_at_once()
    parser = _parser()
    end = arguments.index("--") if "--" in arguments else len(arguments)
    chosen = parser.parse_intermixed_args(arguments[:end])
    words, overrides = recording_inputs.separate(chosen.words, Settings.__struct_fields__)
    words += [f"./{word}" if word[:1] == "-" else word for word in arguments[end + 1 :]]
    if not words:
        parser.error("give at least one VIDEO")
    overrides += of_options(chosen.transcriber, chosen.no_text)
    settings = loader.load(chosen.config, Settings, overrides)
    speed = _speed(chosen.speed)
    check_surroundings()
    notices = Notices(quiet=chosen.quiet)
    check_words(settings, chosen.captions)
    if chosen.preview:
        chosen.page = True
    if chosen.page:
        check_page(settings)
    events = None if chosen.events == "-" else chosen.events
    inputs, skipped = recording_inputs.expand(words, chosen.allow_url)
    check_outputs(
        config=chosen.config,
        inputs=_inputs(chosen),
        recordings=[given.path for given in inputs if given.path is not None],
        count=len(inputs),
        events=events,
        report=chosen.report,
        publish=chosen.publish,
    )
    for given in inputs:
        if given.path is not None and not given.is_stream:
            check_file(given.path)
    for notice in skipped:
        notices.say(notice)
    with contextlib.ExitStack() as copies:
        model = check_models(settings)
        # Refused now rather than after a download: an address in use, or keys that are wrong.
        noted = signals.note()
        Publisher(chosen.publish, "", settings.publish.curve).close()
        noted.check()
        signals.raise_interrupts()
        opened = [_opened(given, settings, chosen, notices, copies) for given in inputs]
        plans = [plan_of(recording, settings, speed, notices) for recording in opened]
        noted = signals.note()
        return _replay_all(plans, inputs, chosen, settings, model, noted, notices)


def _opened(
    given: RecordingInput,
    settings: Settings,
    chosen: argparse.Namespace,
    notices: Notices,
    copies: contextlib.ExitStack,
) -> Recorded:
    """Looks into a recording. A stream is copied first; `copies` deletes the copy at its end."""
    if given.path is not None and not given.is_stream:
        return open_recording(str(given.path), settings, chosen.captions, notices)
    folder = copies.enter_context(tempfile.TemporaryDirectory(prefix="gscon-input-"))
    notices.say(
        f"{given.name}: read to its end first, so its length is not known yet; "
        "captions beside it are not looked for"
    )
    copied = streams.copy_stream(given, Path(folder), settings.recording.url_limit)
    for notice in copied.notices:
        notices.say(notice)
    try:
        return open_recording(str(copied.path), settings, chosen.captions, notices)
    except InputError as error:
        raise InputError(str(error).replace(str(copied.path), given.name)) from error


def _replay_all(
    plans: Sequence[tuple[Plan, float]],
    inputs: Sequence[RecordingInput],
    chosen: argparse.Namespace,
    settings: Settings,
    model: schema.ModelInfo,
    noted: signals.Noted,
    notices: Notices,
) -> int:
    """Replays all recordings, completes all files and says so. Returns the exit code."""
    listener: Listener | None = None
    if chosen.events == "-":
        listener = Listener(sinks.JsonLines(sys.stdout))
    elif not chosen.quiet:
        listener = Listener(sinks.Text(sys.stdout))
    written = [path for path in (chosen.events, chosen.report) if path not in (None, "-")]
    summary: str | None = None
    complete = True
    with contextlib.ExitStack() as longest, contextlib.ExitStack() as stack:
        page = None
        if chosen.page:
            page = longest.enter_context(
                PageProcess(chosen.publish, settings.page.port, opens=chosen.preview)
            )
            chosen.publish = page.endpoint
            for line in page.notices:
                Notices().say(line)
        outputs: list[sinks.Sink] = []
        if chosen.events not in (None, "-"):
            outputs.append(stack.enter_context(contextlib.closing(sinks.for_path(chosen.events))))
        kept = stack.enter_context(_kept_events()) if chosen.report else None
        if kept is not None:
            outputs.append(stack.enter_context(contextlib.closing(sinks.JsonLines(kept))))
        # Where nothing else is asked for, the work is done when nobody reads standard output.
        alone = listener if not outputs and chosen.publish is None else None
        outputs += [listener] if listener is not None else []
        tally = Tally("check recording.audio_track, or lower segmentation.threshold")
        outputs.append(tally)
        try:
            for (plan, duration), given in zip(plans, inputs, strict=True):
                complete, summary = _replay(
                    plan, given.name, duration, outputs, chosen, settings, model, alone
                )
                if not complete:
                    break
        finally:
            if kept is not None and kept.exists():
                _write_report(kept, Path(chosen.report), inputs)
        stack.close()
        for line in tally.lines():
            notices.say(line)
        if listener is not None and listener.failure is not None:
            raise listener.failure
        if complete:
            for path in written:
                notices.say(f"wrote {path}")
            if page is not None and noted.number is None:
                # Whenever Ctrl-C comes from now on, it ends the page alone.
                with contextlib.suppress(KeyboardInterrupt):
                    signals.raise_interrupts()
                    end = "the page has ended" if page.ended else "the page stays until Ctrl-C"
                    notices.say(end)
                    page.wait()
            return cli.OK
    if noted.number is None:  # nobody reads any more
        return cli.OK
    after = f" after {summary}" if summary else " before the first event"
    files = f"; wrote {', '.join(written)}" if summary and written else ""
    notices.say(f"{signals.in_words(noted.number)}{after}{files}")
    return signals.exit_code(noted.number)


def _replay(
    plan: Plan,
    name: str,
    duration: float,
    outputs: list[sinks.Sink],
    chosen: argparse.Namespace,
    settings: Settings,
    model: schema.ModelInfo,
    alone: Listener | None,
) -> tuple[bool, str | None]:
    """Replays a recording. Returns whether it is complete, and a summary if it has begun."""
    with (
        Publisher(chosen.publish, plan.session, settings.publish.curve) as publisher,
        ReplayProgress(name, duration, shown=not chosen.quiet) as progress,
    ):

        def tick(time: float) -> None:
            progress.reach(time)
            if alone is not None and alone.gone:
                session.stop()

        session = Session(plan, publisher, outputs, model=model, source=name, on_tick=tick)
        return session.run(), session.summary


def _inputs(chosen: argparse.Namespace) -> list[tuple[Path, str]]:
    """The files that are read beside the recordings and the configuration."""
    given = chosen.captions not in ("auto", "off")
    return [(Path(chosen.captions), "the captions")] if given else []


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


def _write_report(kept: Path, path: Path, inputs: Sequence[RecordingInput]) -> None:
    from gscon_live.realtime.display.report_page import Beside, address, write_report

    first, *others = [given.name for given in inputs]
    title = ", ".join([first, *others]) if len(others) < 3 else f"{first} and {len(others)} more"
    # What can be read only once is not there for the page's player.
    files = [given.path if given.path and given.path.is_file() else None for given in inputs]
    media = ["" if file is None else address(file, path) for file in files]
    with kept.open("rb") as lines:
        write_report((schema.decode(line) for line in lines), path, title, Beside(media=media))


if __name__ == "__main__":
    cli.program(main)
