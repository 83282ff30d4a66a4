"""`gscon-live live`: emotions from microphone and camera, while people talk."""

import argparse
import contextlib
import os
import signal
import sys
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from gscon_live.common import extras, signals

signals.exit_at_once_in(__name__)
extras.require("live", __name__)

import msgspec
from rich.console import Console

from gscon_live.common import cli
from gscon_live.common.files import make_private_folder
from gscon_live.configs import loader
from gscon_live.realtime.capture.recorder import check_channels
from gscon_live.realtime.display.live_view import LiveView
from gscon_live.realtime.display.terminal import Listener, Notices, lasting
from gscon_live.realtime.events import schema, sinks
from gscon_live.realtime.events.schema import Kept
from gscon_live.realtime.listen import keeping_up, transcription_source
from gscon_live.realtime.pipeline.settings import Settings, Transcription, of_options
from gscon_live.realtime.pipeline.visitor import BROWSER
from gscon_live.realtime.session.live_devices import camera_name, microphone_name, speakers_of
from gscon_live.realtime.session.model_checks import check_detector, check_models
from gscon_live.realtime.session.page_process import PageProcess, check_page
from gscon_live.realtime.session.planned_outputs import check_outputs
from gscon_live.realtime.session.publisher import Publisher
from gscon_live.realtime.session.session import Session
from gscon_live.realtime.session.session_plan import Plan
from gscon_live.realtime.session.surroundings import check_surroundings
from gscon_live.realtime.session.tally import Tally

EXAMPLES = """
gscon-live live
gscon-live live --microphone "USB Audio" --camera 1
gscon-live live --camera off
gscon-live live --camera http://10.0.0.7:8080/video
gscon-live live --preview
gscon-live live --microphone browser --camera browser
gscon-live live --record my-session --events my-session.jsonl
gscon-live subscribe        (in another terminal, while it runs)
"""


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live live",
        "Recognises the emotion of every utterance while people talk.",
        EXAMPLES,
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    parser.add_argument("--microphone", metavar="NAME|INDEX|browser", help="see gscon-live doctor")
    parser.add_argument("--camera", metavar="INDEX|URL|FILE|browser|off", help="default: 0")
    parser.add_argument("--publish", metavar="ENDPOINT|off", help="default: tcp://127.0.0.1:5560")
    parser.add_argument("--record", metavar="DIR", help="keep sound, picture and events there")
    parser.add_argument("--events", metavar="OUT.jsonl", help="write the events to a file")
    parser.add_argument("--transcriber", metavar="auto|off|NAME|DIR", help="as in replay")
    parser.add_argument("--config", default="live", help="a set-up by name or path (default: live)")
    parser.add_argument("--page", action="store_true", help="show the session in the browser")
    parser.add_argument("--preview", action="store_true", help="--page, opened in your browser")
    parser.add_argument("--no-text", action="store_true", help="keep the words out of the events")
    parser.add_argument(
        "--headless", action="store_true", help="plain lines instead of a screen that is redrawn"
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after so many seconds")
    parser.add_argument(
        "--stop-with-input",
        action="store_true",
        help="end when standard input is closed: for programs that start this one",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    signals.exit_at_once()
    chosen = _parser().parse_intermixed_args(arguments)
    settings = loader.load(chosen.config, Settings, _overrides(chosen))
    speakers = speakers_of(settings)
    if chosen.record:
        check_channels(chosen.record, len(speakers))
    check_surroundings()
    check_outputs(
        config=chosen.config,
        inputs=_inputs(settings),
        events=chosen.events,
        record=chosen.record,
        publish=settings.publish.endpoint,
    )
    if chosen.preview or BROWSER in (settings.microphone.device, settings.camera.device):
        chosen.page = True
    if chosen.page:
        check_page(settings)
    model = check_models(settings)
    faces = None if settings.camera.device is None else check_detector(settings)
    notices = Notices()
    microphone = microphone_name(settings)
    camera = camera_name(settings, required=chosen.camera is not None, notices=notices)
    source = f"{microphone}, {camera or 'no camera'}"
    if faces and camera:
        notices.once(faces)
    session_name = uuid.uuid4().hex[:16]
    # Refused now rather than after a download: an address that is in use, or keys that are wrong.
    noted = signals.note()
    Publisher(settings.publish.endpoint, session_name, settings.publish.curve).close()
    noted.check()
    signals.raise_interrupts()
    words = _words(settings.transcription, notices)
    if words.notice:
        notices.once(words.notice)
    plan = Plan(
        session=session_name,
        settings=settings,
        live=True,
        words=words,
        has_audio=True,
        has_video=camera is not None,
        microphone=True,
        camera=camera is not None,
        record=chosen.record,
        speakers=speakers,
    )
    return _hold(plan, chosen, model, source, signals.note(), notices)


def _words(settings: Transcription, notices: Notices) -> transcription_source.Words:
    """The source of the words; for `auto`, the largest model that keeps up."""
    if settings.transcriber == "auto" and (present := transcription_source.present()):
        return keeping_up.largest(present, settings)
    downloads = notices.downloads(transcription_source.folders())
    return transcription_source.choose(settings, False, notices.say, downloads)


def _hold(
    plan: Plan,
    chosen: argparse.Namespace,
    model: schema.ModelInfo,
    source: str,
    noted: signals.Noted,
    notices: Notices,
) -> int:
    """Holds the session, completes all files and says so. Returns the exit code."""
    settings = plan.settings
    events_file = sinks.for_path(chosen.events) if chosen.events else None
    input_ended = _input_ended() if chosen.stop_with_input else None
    with contextlib.ExitStack() as stack:
        endpoint = settings.publish.endpoint
        page: PageProcess | None = None
        if chosen.page:
            page = stack.enter_context(
                PageProcess(
                    endpoint,
                    settings.page.port,
                    settings,
                    opens=chosen.preview,
                    stops=settings.page.stop,
                )
            )
            endpoint, plan = page.endpoint, msgspec.structs.replace(plan, visitor=page.visitor)
            for line in page.notices:
                notices.say(line)
        publisher = stack.enter_context(Publisher(endpoint, plan.session, settings.publish.curve))
        if settings.publish.endpoint:
            notices.say(f"publishing on {settings.publish.endpoint}")
        tally = Tally("check the microphone, or lower segmentation.threshold")
        outputs: list[sinks.Sink] = [tally, *([] if events_file is None else [events_file])]
        if chosen.record:
            folder = Path(chosen.record)
            make_private_folder(folder)
            stack.callback(_remove_if_empty, folder)
            outputs.append(sinks.JsonLines(folder / "events.jsonl", secret=True))
        for output in outputs:
            stack.enter_context(contextlib.closing(output))
        # Where nothing else is asked for, the work is done when nobody reads standard output.
        needed = bool(chosen.events or chosen.record or endpoint)
        notices.say("loading the models; say something when the screen appears")
        console = Console(file=lasting(sys.stdout))
        listener: Listener | None = None
        view: LiveView | None = None
        if chosen.headless or not console.is_terminal:
            listener = Listener(sinks.Text(sys.stdout, live=False))
            outputs.append(listener)
        else:
            view = stack.enter_context(LiveView(source, console))
            outputs.append(view)

        def tick(time_: float) -> None:
            if page is not None:
                page.look_after()
                if page.stopped:
                    session.stop()
            if view is not None:
                view.tick(time_)
            if chosen.seconds is not None and time_ >= chosen.seconds:
                session.stop()
            if input_ended is not None and input_ended.is_set():
                session.stop()
            if listener is not None and listener.gone and not needed:
                session.stop()

        session = Session(
            plan,
            publisher,
            outputs,
            model=model,
            source=source,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            kept=_kept(chosen, plan.has_video),
            on_status=view.status if view is not None else lambda status: None,
            on_tick=tick,
        )
        session.run()
    for line in tally.lines():
        notices.say(line)
    if listener is not None and listener.failure is not None:
        raise listener.failure
    ended = "ended" if page is None or not page.stopped else "ended on the page"
    if noted.number is not None:
        ended = signals.in_words(noted.number)
    after = f" after {session.summary}" if session.summary else " before the first event"
    written = [path for path in (chosen.events, chosen.record) if path and session.summary]
    files = f"; wrote {', '.join(written)}" if written else ""
    notices.say(f"{ended}{after}{files}")
    # Ctrl-C is how a live session ends.
    if noted.number is None or (noted.number == signal.SIGINT and session.summary):
        return cli.OK
    return signals.exit_code(noted.number)


def _kept(chosen: argparse.Namespace, pictures: bool) -> list[Kept]:
    """What the session writes to files."""
    kept: list[Kept] = []
    if chosen.record:
        kept += ["sound", "pictures"] if pictures else ["sound"]
    if chosen.record or chosen.events:
        kept.append("events")
    return kept


def _input_ended() -> threading.Event:
    """An event that is set once standard input has been closed."""
    ended = threading.Event()

    def read() -> None:
        # Not by `sys.stdin`: at its end, the interpreter would wait for who reads it.
        while os.read(0, 4096):
            pass
        ended.set()

    threading.Thread(target=read, name="standard-input", daemon=True).start()
    return ended


def _overrides(chosen: argparse.Namespace) -> list[str]:
    overrides: list[str] = list(chosen.overrides)
    if chosen.microphone is not None:
        overrides.append(loader.override("microphone.device", _device(chosen.microphone)))
    if chosen.camera is not None:
        camera = None if chosen.camera == "off" else _device(chosen.camera)
        overrides.append(loader.override("camera.device", camera))
    if chosen.publish is not None:
        endpoint = None if chosen.publish == "off" else chosen.publish
        overrides.append(loader.override("publish.endpoint", endpoint))
    return overrides + of_options(chosen.transcriber, chosen.no_text)


def _inputs(settings: Settings) -> list[tuple[Path, str]]:
    """The files that are read beside the configuration."""
    device = settings.camera.device
    if not isinstance(device, str) or device == BROWSER:
        return []
    return [(Path(device), "the camera")]


def _device(word: str) -> str | int:
    return int(word) if word.isdecimal() else word


def _remove_if_empty(folder: Path) -> None:
    """Removes the folder of a session that never started."""
    with contextlib.suppress(OSError):
        folder.rmdir()


if __name__ == "__main__":
    cli.program(main)
