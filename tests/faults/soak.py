"""A session that everything happens to: python tests/faults/soak.py --minutes 60 --seed 7

A live session hears a virtual microphone and sees a virtual camera. Meanwhile faults happen at
random moments: see `soak_disturbances` for those of the session, `soak_beside` for what runs beside
it. Prints what was disturbed and what is wrong, and exits 0 or 1.
"""

import argparse
import contextlib
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from devices import RATE, CameraServer, camera_server
from memory import MEBIBYTE, growth
from rich.console import Console
from rich.table import Table
from sessions import HERE, WAIT, cut, read
from situations import left_in_shared_memory, place, shared_memory
from soak_beside import KINDS, Beside
from soak_disturbances import DISTURBANCES, Target, Voice
from soak_ledger import Span, of_device
from soak_session import Held
from sound import recorded

from gscon_live.common.errors import Failure
from gscon_live.realtime.capture import caption_files
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.client import Subscriber
from gscon_live.realtime.pipeline.messages import Cue
from gscon_live.realtime.sample import CONVERSATION

#: How much memory may grow after the warm-up; allocators breathe.
BREATH = 60 * MEBIBYTE


class Soak:
    """The session, what disturbs it and what runs beside it.

    Args:
        seconds: how long the session lasts.
        seed: decides all that is random.
        options: of the session's command.
        keep: where its events and its standard error are kept; None: nowhere.
    """

    def __init__(
        self, seconds: float, seed: int, options: list[str], keep: Path | None = None
    ) -> None:
        self._keep = keep
        self.problems: list[str] = []
        self.done: Counter[str] = Counter()
        self.beside: Counter[str] = Counter()
        self._seconds = seconds
        self._seed = seed
        self._options = options
        self._over = threading.Event()
        self._until = 0.0

    def run(self) -> dict[str, str]:
        """Runs it to its end. Returns what is to be shown, by name."""
        before = shared_memory()
        with contextlib.ExitStack() as stack:
            microphone = stack.enter_context(_voice())
            where = stack.enter_context(place())
            clips = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            camera = stack.enter_context(camera_server(cut(clips / "camera.mkv", 20.0)))
            self._clip = cut(clips / "clip.mkv", 9.0)
            held = Held(where, microphone, camera, self._options)
            self._until = time.monotonic() + self._seconds
            work: dict[str, Callable[[random.Random], None]] = {
                "voice": lambda chance: self._speak(held, microphone, chance),
                "disturb": lambda chance: self._disturb(held, microphone, camera, chance),
                "beside": lambda chance: self._run_beside(microphone, chance),
                "subscribe": lambda chance: self._subscribe(held),
            }
            threads = [
                threading.Thread(target=self._guarded, args=(name, step))
                for name, step in work.items()
            ]
            for thread in threads:
                thread.start()
            try:
                self._watch(held)
            finally:
                self._over.set()
                for thread in threads[:3]:
                    thread.join(WAIT * 4)
            time.sleep(3.0)  # what was said last is still being worked on
            self._end(held)
            threads[3].join(WAIT)
            if self._keep is not None:
                self._keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(held.path, self._keep)
                (self._keep / "errors.txt").write_text(held.said(), encoding="utf-8")
            figures = self._figures(held)
        left = left_in_shared_memory(before)
        if left:
            self.problems.append(f"shared memory is left: {left}")
        return figures

    def _guarded(self, name: str, step: Callable[[random.Random], None]) -> None:
        try:
            step(random.Random(f"{self._seed} {name}"))
        except Exception:
            self.problems.append(f"{name}: {traceback.format_exc()}")
            print(f"WRONG {self.problems[-1]}", flush=True)
            self._over.set()

    def _going(self) -> bool:
        return not self._over.is_set() and time.monotonic() < self._until

    def _speak(self, held: Held, microphone: Voice, chance: random.Random) -> None:
        """Plays utterances of the sample in random order, with pauses."""
        sound = recorded(CONVERSATION)
        captions = caption_files.read_file(CONVERSATION.with_suffix(".vtt"))
        cues = [cue for cue in captions if isinstance(cue, Cue)]
        self._over.wait(3.0)
        while self._until - time.monotonic() > 12.0 and self._going():
            cue = chance.choice(cues)
            samples = sound[int((cue.start - 0.1) * RATE) : int((cue.end + 0.1) * RATE)]
            start = held.now
            microphone.play(np.concatenate([samples, np.zeros(RATE // 2, np.float32)]))
            held.spoken.append(Span(cue.text[:30], start, start + cue.end - cue.start))
            self._over.wait(cue.end - cue.start + chance.uniform(3.0, 9.0))

    def _disturb(
        self, held: Held, microphone: Voice, camera: CameraServer, chance: random.Random
    ) -> None:
        target = Target(held.process.pid, held.endpoint, microphone, camera, chance)
        self._over.wait(8.0)
        while self._until - time.monotonic() > 30.0 and self._going():
            name = chance.choice(list(DISTURBANCES))
            target.note, start = "", held.now
            held.disturbed.append(Span(name, start, start + 60.0))
            DISTURBANCES[name](target)
            note = f"{name} ({target.note})" if target.note else name
            held.disturbed[-1] = Span(note, start, held.now)
            print(f"{start:7.1f} to {held.now:7.1f} s  {note}", flush=True)
            self.done[name] += 1
            self._over.wait(chance.uniform(1.0, 8.0))

    def _run_beside(self, microphone: Voice, chance: random.Random) -> None:
        beside = Beside(self._clip, microphone.environment, chance)
        while self._until - time.monotonic() > 45.0 and self._going():
            self._over.wait(chance.uniform(2.0, 15.0))
            kind = chance.choice(list(KINDS))
            wrong = beside.run(kind)
            for problem in wrong:
                print(f"WRONG {problem}", flush=True)
            self.problems += wrong
            self.beside[kind] += 1

    def _subscribe(self, held: Held) -> None:
        """Receives all events to the end, as a program beside the session would."""
        with Subscriber(held.endpoint, timeout=WAIT) as subscriber:
            subscriber.ready()
            while not (held.received and isinstance(held.received[-1], schema.SessionEnded)):
                item = subscriber.receive(1.0)
                if item is not None:
                    held.received.append(item.event)
                elif not held.running():
                    break
            held.missed = subscriber.missed

    def _watch(self, held: Held) -> None:
        """Looks at memory and events until the time is over. Raises nothing; notes what is wrong."""
        seen: set[str] = set()
        looked = time.monotonic()
        while self._going():
            if not held.running():
                self.problems.append(f"the session ended by itself: {held.said()!r}")
                return
            held.read_memory()
            if time.monotonic() - looked > 20.0:
                looked = time.monotonic()
                for problem in set(held.problems()) - seen:
                    seen.add(problem)
                    print(f"WRONG at {held.now:.1f} s: {problem}", flush=True)
            self._over.wait(2.0)

    def _end(self, held: Held) -> None:
        if held.running():
            held.process.send_signal(signal.SIGINT)
        try:
            code = held.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.problems.append(f"the session does not end {WAIT:.0f} s after Ctrl-C")
            os.killpg(held.process.pid, signal.SIGKILL)
            code = held.process.wait()
        if code != 0:
            self.problems.append(f"the session ended with exit code {code}: {held.said()!r}")
        if orphans := held.family.left(patience=2.0):
            self.problems.append(f"processes are left: {orphans}")
        if left := held.where.left():
            self.problems.append(f"files are left: {left}")

    def _figures(self, held: Held) -> dict[str, str]:
        try:
            self.problems += held.problems(last=True)
        except Exception as error:  # the file has no end
            self.problems.append(f"the events are not whole: {type(error).__name__}: {error}")
            return {}
        if "Traceback" in held.said():
            self.problems.append(f"a traceback: {held.said()!r}")
        events = read(held.path)
        gaps = [event for event in events if isinstance(event, schema.Gap)]
        health = Counter(event.status for event in events if isinstance(event, schema.Health))
        grown = growth(held.memory, min(600.0, self._seconds / 4))
        if grown is not None and grown > BREATH:
            self.problems.append(f"memory grew by {grown / MEBIBYTE:.0f} MB")
        peak = max(used for _, used in held.memory) / MEBIBYTE
        answered = sum(isinstance(event, schema.UtteranceEvent) for event in events)
        return {
            "utterances spoken": str(len(held.spoken)),
            "utterances in events": str(answered),
            "gaps": ", ".join(
                f"{count} {what}" for what, count in Counter(gap.what for gap in gaps).items()
            )
            or "none",
            "of them by the virtual sound card alone": str(len(of_device(held.disturbed, events))),
            "health": ", ".join(f"{count} {what}" for what, count in health.items()) or "none",
            "events that a subscriber missed and counted": str(held.missed),
            "disturbances": str(self.done.total()),
            "commands beside it": str(self.beside.total()),
            "memory, peak": f"{peak:.0f} MB",
            "memory, growth after the warm-up": (
                "too short to tell" if grown is None else f"{grown / MEBIBYTE:+.0f} MB"
            ),
        }


@contextlib.contextmanager
def _voice() -> Iterator[Voice]:
    voice = Voice()
    try:
        voice.start()
        yield voice
    finally:
        voice.close()


def show(soak: Soak, figures: dict[str, str], seconds: float, seed: int) -> None:
    """Prints the table and what is wrong."""
    table = Table("what", "figure", title=f"{seconds:.0f} s, seed {seed}", title_justify="left")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    table.add_row("when and where", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}")
    for name, figure in figures.items():
        table.add_row(name, figure)
    for name, count in sorted([*soak.done.items(), *soak.beside.items()]):
        table.add_row(f"  {name}", str(count))
    table.add_row("wrong", str(len(soak.problems)))
    Console(width=100, file=sys.stdout).print(table)
    for problem in soak.problems:
        print(f"wrong: {problem}")


def environment() -> dict[str, str]:
    """What a process needs to run this program: where the modules of the tests are."""
    places = [str(HERE), str(HERE.parent)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}


def main(arguments: Any = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="0 takes a new one")
    parser.add_argument("--transcriber", default="off", help="as in gscon-live live")
    parser.add_argument("--keep", type=Path, help="a folder for the session's events and errors")
    options = parser.parse_args(arguments)
    # A shell that starts this in the background has it, and all that it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The folder of the tests has one named `gscon_live`: it would hide the project from commands.
    os.environ.pop("PYTHONPATH", None)
    seed = options.seed or random.SystemRandom().randrange(1, 1 << 31)
    print(f"seed {seed}", flush=True)
    soak = Soak(options.minutes * 60, seed, ["--transcriber", options.transcriber], options.keep)
    try:
        figures = soak.run()
    except Failure as failure:
        print(f"wrong: {failure}")
        return 1
    show(soak, figures, options.minutes * 60, seed)
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
