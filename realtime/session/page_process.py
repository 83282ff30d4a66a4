"""The page beside a session: a process of its own, which ends with the session."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import urlsplit

import msgspec

from gscon_live.common import extras
from gscon_live.common.errors import Failure, InputError
from gscon_live.realtime.gateway import own_browser
from gscon_live.realtime.pipeline.bus import Endpoints, private_endpoints
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.pipeline.visitor import BROWSER, STOP, Visitor

#: Seconds in which the page has to be there, and to end.
_PATIENCE = 10.0


def check_page(settings: Settings) -> None:
    """Refuses a page that could not be served, before anything is loaded or downloaded.

    Raises:
        InputError: the extra `web` is not installed, the port is in use, or the event stream needs
            keys.
    """
    extras.require("web", __name__)
    if settings.publish.curve is not None:
        raise InputError(
            "--page: the event stream needs keys; start the page by itself, with gscon-live page "
            "ENDPOINT --keys DIR"
        )
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.page.port))
        except OSError as error:
            raise InputError(
                f"--page: the page cannot be served on port {settings.page.port}: "
                f"{error.strerror}; choose another with page.port=N, or page.port=0 for any"
            ) from error


class PageProcess:
    """Starts the page and ends it. The session neither waits for it nor needs it.

    Args:
        endpoint: where the session publishes; None takes an address that only this user can reach.
        port: port of the page, 0 for any.
        devices: settings whose microphone and camera may be the browser's; None: there are none.
        opens: whether it opens itself in the user's browser, if there is one.
        stops: whether viewers may end the session.

    Attributes:
        notices: what the user has to know, one line each: the address, and a missing browser.
        endpoint: where the session has to publish.
        address: what to open in the browser.
        visitor: where the sound and pictures of the browser go; None if they are not wanted.
    """

    def __init__(
        self,
        endpoint: str | None,
        port: int,
        devices: Settings | None = None,
        *,
        opens: bool = False,
        stops: bool = False,
    ) -> None:
        self._stopped = threading.Event()
        self._reader: threading.Thread | None = None
        self._stack = contextlib.ExitStack()
        self.address = ""
        with contextlib.ExitStack() as stack:
            private = stack.enter_context(
                private_endpoints(["page", "sound", "pictures", "camera"])
            )
            self.endpoint: str = endpoint or private.of("page")
            self.visitor = None if devices is None else _visitor(devices, private)
            errors: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            self._words = ["page", self.endpoint, "--stop-with-input"]
            self._words += ["--can-stop"] if stops else []
            if self.visitor is not None:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gscon-page-"))
                self._words += ["--visitor", msgspec.json.encode(self.visitor).decode()]
                self._words += ["--token-file", str(Path(folder) / "token")]
            can_open = opens and own_browser.there_is_one()
            self._process = self._start(port, errors, ["--open"] if can_open else [])
            self._started_at = time.monotonic()
            stack.callback(self._end)
            self.address = self._await_address(errors)
            self._listen()
            self.notices = [f"page: {self.address}"]
            self.notices += [own_browser.NONE] if opens and not can_open else []
            self._stack = stack.pop_all()

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself, or was killed."""
        return self._process.poll() is not None

    @property
    def stopped(self) -> bool:
        """Whether a viewer has ended the session."""
        return self._stopped.is_set()

    def look_after(self) -> None:
        """Starts it again, under the same address, if the session needs it and it has gone. It does
        not wait for it."""
        if self.visitor is None or not self.visitor.wants or not self.ended:
            return
        if time.monotonic() - self._started_at < _PATIENCE:
            return
        self._started_at = time.monotonic()
        self._close_pipes()
        self._process = self._start(urlsplit(self.address).port or 0, subprocess.DEVNULL)
        self._listen()

    def wait(self) -> None:
        """Waits until it has ended by itself, or Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            self._process.wait()

    def _start(
        self, port: int, errors: IO[bytes] | int, more: Sequence[str] = ()
    ) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "gscon_live", *self._words, "--port", str(port), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )

    def _listen(self) -> None:
        """Listens to what the page prints, until it ends."""
        printed = self._process.stdout
        assert printed is not None

        def listen() -> None:
            for line in printed:
                if line.strip() == STOP.encode():
                    self._stopped.set()

        self._reader = threading.Thread(target=listen, name="page", daemon=True)
        self._reader.start()

    def _listen_to_the_end(self) -> None:
        """Waits until all that an ended page has printed was read."""
        if self._reader is not None:
            self._reader.join(1.0)

    def _close_pipes(self) -> None:
        self._listen_to_the_end()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _await_address(self, errors: IO[bytes]) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode().strip()
        if line:
            return line
        code = self._process.wait()
        errors.seek(0)
        printed = errors.read().decode(errors="replace").strip().splitlines()
        message = printed[-1].removeprefix("error: ") if printed else f"exit code {code}"
        raise (InputError if code == 2 else Failure)(f"--page: {message}")

    def _end(self) -> None:
        """Lets it deliver the last events; kills it if it does not end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        except BaseException:  # a second Ctrl-C
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._listen_to_the_end()
            self._process.stdout.close()

    def __enter__(self) -> "PageProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


def _visitor(settings: Settings, private: Endpoints) -> Visitor | None:
    """What is wanted of the browser, and what it is shown."""
    camera = settings.camera
    own = camera.device not in (None, BROWSER)
    visitor = Visitor(
        sound=private.of("sound") if settings.microphone.device == BROWSER else None,
        pictures=private.of("pictures") if camera.device == BROWSER else None,
        width=camera.width,
        height=camera.height,
        rate=camera.rate,
        camera=private.of("camera") if own and settings.page.pictures else None,
    )
    return visitor if visitor.wants or visitor.camera else None
