"""Recognition in five lines: `recognise` for recordings, `Live` for microphone and camera.

Both run the command `replay` or `live` in a separate process. So a program may have any form, also
a notebook; it loads no model itself, and cannot slow down or break the pipeline.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import IO

from gscon_live.common import cli, signals
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.client import Subscriber
from gscon_live.realtime.events.schema import AnyEvent
from gscon_live.realtime.pipeline.bus import private_endpoints

#: Seconds to wait for a session to end before it is killed.
_PATIENCE = 10.0


def recognise(
    path: str | os.PathLike[str],
    *,
    captions: str | os.PathLike[str] = "auto",
    transcriber: str | None = None,
    config: str | os.PathLike[str] = "live",
    settings: Sequence[str] = (),
    allow_url: bool = False,
) -> Iterator[AnyEvent]:
    """The events of a recording, in order; the same file always gives the same events.

    The work starts when the first event is requested, and pauses while the program does not request
    the next one. Leaving the loop early ends it.

    Args:
        path: any file that FFmpeg reads.
        captions: the source of words and utterance bounds: captions in the file or beside it
            ("auto"), none ("off"), or the path of a caption file.
        transcriber: the faster-whisper model for words, by name or folder; "auto", "off"; None
            takes the configuration's.
        config: a live set-up by name or path.
        settings: values to change in it, as `key=value`.
        allow_url: whether `path` may be a URL that FFmpeg opens.

    Raises:
        InputError: the file, a setting or a model is wrong, or the extra `live` is not installed.
        Failure: the pipeline failed.
    """
    address = os.fsdecode(path)
    place = address if "://" in address else os.path.abspath(path)
    words = [
        place,
        *(("--allow-url",) if allow_url else ()),
        *("--events", "-", "--captions", os.fspath(captions), "--config", os.fspath(config)),
        *(() if transcriber is None else ("--transcriber", transcriber)),
        *settings,
    ]
    with closing(_Command("replay", words)) as command:
        for line in command.lines():
            yield schema.decode(line)


class Live:
    """Events from microphone and camera, as people talk.

        with Live() as events:
            for event in events:
                print(event)

    The loop ends after `stop`, which any thread may call. A slow program does not slow down the
    session: events that it does not read in time are dropped and counted.

    Args:
        microphone: its name or index; None takes the configuration's, at first the system's own.
        camera: its index, an address or a file; "off" for none; None takes the configuration's.
        transcriber: as for `recognise`.
        config: a live set-up by name or path.
        settings: values to change in it, as `key=value`.

    Raises:
        InputError: a device, a setting or a model is wrong, or the extra `live` is not installed.
        Failure: the pipeline failed.
    """

    def __init__(
        self,
        microphone: str | int | None = None,
        camera: str | int | None = None,
        *,
        transcriber: str | None = None,
        config: str | os.PathLike[str] = "live",
        settings: Sequence[str] = (),
    ) -> None:
        options = {"--microphone": microphone, "--camera": camera, "--transcriber": transcriber}
        self._words = ["--headless", "--stop-with-input", "--config", os.fspath(config), *settings]
        for name, value in options.items():
            self._words += [] if value is None else [name, str(value)]
        self._stack = ExitStack()
        self._command: _Command | None = None
        self._subscriber: Subscriber | None = None

    @property
    def missed(self) -> int:
        """Number of events that were dropped because the program did not read them in time."""
        return self._subscriber.missed if self._subscriber is not None else 0

    def stop(self) -> None:
        """Ends the session; the loop over the events ends after the last of them."""
        if self._command is not None:
            self._command.stop()

    def __enter__(self) -> "Live":
        with ExitStack() as stack:
            endpoint = stack.enter_context(private_endpoints(["events"])).of("events")
            command = stack.enter_context(
                closing(_Command("live", [*self._words, "--publish", endpoint]))
            )
            subscriber = stack.enter_context(Subscriber(endpoint))
            while True:
                try:
                    subscriber.ready(timeout=0.5)
                    break
                except Failure:
                    if command.ended:
                        command.check()
                        break
            self._command, self._subscriber = command, subscriber
            self._stack = stack.pop_all()
        return self

    def __iter__(self) -> Iterator[AnyEvent]:
        if self._command is None or self._subscriber is None:
            raise RuntimeError("enter the session first: with Live() as events")
        while True:
            ended = self._command.ended
            received = self._subscriber.receive(0.0 if ended else 0.5)
            if received is not None:
                yield received.event
            if ended and received is None:
                self._command.check()
                return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


class _Command:
    """A command in a separate process.

    Args:
        name: see `gscon-live --help`.
        words: its arguments.
    """

    def __init__(self, name: str, words: Sequence[str]) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gscon_live", name, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if name == "replay" else subprocess.DEVNULL,
            stderr=self._errors,
        )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def lines(self) -> Iterator[bytes]:
        """The lines of its output, to the end; raises as `check` does."""
        assert self._process.stdout is not None
        yield from self._process.stdout
        self._process.wait()
        self.check()

    def check(self) -> None:
        """Raises the error that an ended command has printed."""
        code = self._process.returncode
        if code == cli.OK or code in map(signals.exit_code, signals.SIGNALS):
            return
        self._errors.seek(0)
        printed = self._errors.read().decode(errors="replace").strip().splitlines()
        message = (
            printed[-1].removeprefix("error: ") if printed else f"it ended with exit code {code}"
        )
        raise InputError(message) if code == cli.WRONG_INPUT else Failure(message)

    def stop(self) -> None:
        """Requests the end of the command."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def close(self) -> None:
        """Ends the command, and waits until it has ended."""
        self.stop()
        if not self.ended:
            self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
