"""Workers on a Ray cluster. Only paths and short records pass through Ray.

A worker is an actor with its own models. One that dies, alone or with its node, costs the time of
its recording: that is given to another worker, and results come into the archive whole or not at
all, whoever is second. Nodes that join later get work, too.
"""

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gscon_live.common.errors import Failure
from gscon_live.common.ray_connection import connected
from gscon_live.realtime.archive.entries import Entry, Failed
from gscon_live.realtime.archive.pool import Report
from gscon_live.realtime.archive.station import Recipe, Station
from gscon_live.realtime.archive.store import Results
from gscon_live.realtime.archive.versions import host, library_versions, pipeline_version

#: A recording whose worker died this often has failed.
_ATTEMPTS = 4
#: Workers that die in a row without having begun, before all is given up.
_STILLBORN = 8
#: A recording that takes so many times as long as the longest so far is given to an idle worker,
#: too, but not before so many seconds: the node that has it may be slow, or may have stopped.
_LATE, _LATE_AFTER = 2.0, 60.0
#: Seconds between two looks at the size of the cluster.
_LOOK_EVERY = 2.0
#: Seconds without any worker after which the user is told.
_SILENCE = 30.0

_result: msgspec.json.Decoder[Entry | Failed] = msgspec.json.Decoder(Entry | Failed)


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself: its machine, and the versions there."""

    host: str
    pipeline: str
    libraries: dict[str, str]


def hello() -> Hello:
    """The hello of this process."""
    return Hello(host=host(), pipeline=pipeline_version(), libraries=library_versions())


class Place:
    """The actor of a worker. It takes and gives JSON, so that another version of the package can
    be told of, rather than fail in stranger words."""

    def __init__(self) -> None:
        self._station: Station | None = None

    def hello(self) -> bytes:
        """Its `Hello`."""
        return msgspec.json.encode(hello())

    def begin(self, recipe: bytes, token: str) -> bool:
        """Takes the recipe. Returns whether this machine sees the archive's folder."""
        chosen = msgspec.json.decode(recipe, type=Recipe)
        if not (Results(Path(chosen.out)).path / token).is_dir():
            return False
        self._station = Station(chosen)
        return True

    def do(self, path: str) -> bytes:
        """Does a recording; gives an `Entry` or a `Failed`."""
        assert self._station is not None
        return msgspec.json.encode(self._station.do(path, lambda share: None))


class _Given(NamedTuple):
    """A recording that a worker has, since when."""

    actor: Any
    path: str
    begun: float


class RayWorkers:
    """Actors on an existing cluster, as many as it has processors.

    Args:
        recipe: how recordings are done; its folder must be the same on all nodes.
        address: the cluster's address, or "auto".
        limit: number of workers at most; None: no limit.
        say: gets lines for the user.

    Raises:
        InputError: there is no such cluster, or it runs other versions of Ray or Python.
    """

    def __init__(
        self, recipe: Recipe, address: str, limit: int | None, say: Callable[[str], None]
    ) -> None:
        self._recipe = recipe
        self._limit = limit
        self._say = say
        self._stack = contextlib.ExitStack()
        self._ray = self._stack.enter_context(connected(address))

    def run(
        self, paths: Sequence[str], take: Callable[[Report], None], stopping: Callable[[], bool]
    ) -> None:
        """See `pool.Workers`."""
        # Another machine that sees this folder sees the same archive.
        with Results(Path(self._recipe.out)).scratch() as token:
            work = _Run(self._ray, self._recipe, self._limit, self._say, token.name)
            work.run(paths, take, stopping)

    def close(self) -> None:
        """Leaves the cluster."""
        self._stack.close()


class _Run:
    """The state of one run."""

    def __init__(
        self, ray: Any, recipe: Recipe, limit: int | None, say: Callable[[str], None], token: str
    ) -> None:
        self._ray = ray
        self._recipe = msgspec.json.encode(recipe)
        gpus = 1 if recipe.settings.transcription.device == "cuda" else 0
        self._actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(Place)
        self._limit = limit
        self._say = say
        self._told: set[str] = set()
        self._token = token
        self._own = hello()
        self._new: dict[Any, Any] = {}
        self._beginning: dict[Any, tuple[Any, str]] = {}
        self._idle: list[Any] = []
        self._busy: dict[Any, _Given] = {}
        self._longest = 0.0
        self._refused: list[Any] = []
        self._stillborn = 0
        self._looked = 0.0
        self._size = 0
        self._heard = time.monotonic()

    def run(
        self, paths: Sequence[str], take: Callable[[Report], None], stopping: Callable[[], bool]
    ) -> None:
        waiting = deque(paths)
        attempts: dict[str, int] = {}
        try:
            while not stopping() and (waiting or self._busy):
                self._employ(len(waiting))
                while waiting and self._idle:
                    self._give(waiting.popleft())
                for path in self._late():
                    if self._idle:
                        self._give(path)
                for reference in self._ready():
                    self._welcome(reference)
                    self._finish(reference, waiting, attempts, take)
        finally:
            self._dismiss()

    def _give(self, path: str) -> None:
        actor = self._idle.pop()
        self._busy[actor.do.remote(path)] = _Given(actor, path, time.monotonic())

    def _late(self) -> list[str]:
        """The recordings that take far too long where they are, and are nowhere else."""
        if not self._longest:
            return []
        bound = time.monotonic() - max(_LATE * self._longest, _LATE_AFTER)
        copies = Counter(given.path for given in self._busy.values())
        late = [given.path for given in self._busy.values() if given.begun < bound]
        return [path for path in late if copies[path] == 1]

    def _employ(self, waiting: int) -> None:
        """Starts workers as long as there are processors and recordings for them."""
        now = time.monotonic()
        if now - self._looked > _LOOK_EVERY:
            self._looked = now
            self._size = int(self._ray.cluster_resources().get("CPU", 0))
        there = len(self._new) + len(self._beginning) + len(self._idle) + len(self._busy)
        work = waiting + len(self._busy) + len(self._late())
        wanted = min(self._size - len(self._refused), work)
        if self._limit is not None:
            wanted = min(wanted, self._limit)
        for _ in range(wanted - there):
            actor = self._actor.remote()
            self._new[actor.hello.remote()] = actor
        if self._beginning or self._idle or self._busy:
            self._heard = now
        # Refused workers hold the processors that are left, so one that is new finds none.
        elif self._stillborn > _STILLBORN or (self._refused and wanted <= 0):
            raise Failure(f"no node of the cluster can be used: {'; '.join(sorted(self._told))}")
        elif now - self._heard > _SILENCE:
            self._tell("the cluster has no free processor; waiting for one")

    def _ready(self) -> list[Any]:
        references = [*self._new, *self._beginning, *self._busy]
        if not references:
            time.sleep(0.2)
            return []
        ready, _ = self._ray.wait(references, num_returns=1, timeout=0.5)
        return list(ready)

    def _welcome(self, reference: Any) -> None:
        """Takes in a worker that has said hello, or that has begun."""
        if reference in self._new:
            actor = self._new.pop(reference)
            answer = self._got(reference, "start")
            if answer is None:
                self._stillborn += 1
                return
            guest = msgspec.json.decode(answer, type=Hello)
            if guest.pipeline != self._own.pipeline:
                self._refuse(
                    actor,
                    f"{guest.host} has gscon-live {guest.pipeline}, this machine has "
                    f"{self._own.pipeline}; install the same on both",
                )
                return
            other = [
                f"{name} {version} (here {self._own.libraries.get(name, 'none')})"
                for name, version in guest.libraries.items()
                if self._own.libraries.get(name) != version
            ]
            if other:
                self._tell(
                    f"{guest.host} has {', '.join(other)}; results may differ in their last digits"
                )
            self._beginning[actor.begin.remote(self._recipe, self._token)] = (actor, guest.host)
        elif reference in self._beginning:
            actor, name = self._beginning.pop(reference)
            sees = self._got(reference, "begin")
            if sees:
                self._stillborn = 0
                self._idle.append(actor)
            elif sees is not None:
                self._refuse(
                    actor, f"{name} does not see the archive's folder; share it among all nodes"
                )

    def _finish(
        self,
        reference: Any,
        waiting: "deque[str]",
        attempts: dict[str, int],
        take: Callable[[Report], None],
    ) -> None:
        if reference not in self._busy:
            return  # another worker was faster with the same recording
        actor, path, begun = self._busy.pop(reference)
        answer = self._got(reference, None)
        others = [key for key, given in self._busy.items() if given.path == path]
        if answer is not None:
            self._longest = max(self._longest, time.monotonic() - begun)
            self._idle.append(actor)
            for key in others:
                self._kill(self._busy.pop(key).actor)
            take(_result.decode(answer))
            return
        if others:
            return
        attempts[path] = attempts.get(path, 0) + 1
        if attempts[path] < _ATTEMPTS:
            waiting.appendleft(path)
            return
        take(
            Failed(
                path=path,
                reason=f"{path}: the workers that had it died {_ATTEMPTS} times; "
                "replay it alone, or give the nodes more memory",
            )
        )

    def _got(self, reference: Any, doing: str | None) -> Any:
        """The value of a call; None where its worker died. `doing` is told with the error."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            if doing is not None:
                text = " ".join(str(error).split())
                if "ModuleNotFoundError" in text:
                    text = "gscon-live is not installed there"
                self._tell(f"a worker did not {doing} ({text[-200:]})")
            return None

    def _refuse(self, actor: Any, reason: str) -> None:
        # Kept, so that it holds its processor: no other worker starts in its place.
        self._refused.append(actor)
        self._tell(reason)

    def _tell(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._say(line)

    def _dismiss(self) -> None:
        beginning = [actor for actor, _ in self._beginning.values()]
        working = [given.actor for given in self._busy.values()]
        all_others = (*self._new.values(), *beginning, *self._idle, *self._refused)
        for actor in (*all_others, *working):
            self._kill(actor)

    def _kill(self, actor: Any) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor)
