"""The types for TypeScript and C# are those of the events, and the clients with them work."""

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from gateways import shown
from made_events import conversation

from gscon_live.realtime.events import client_types, schema
from gscon_live.realtime.events.schema import AnyEvent, UtteranceEvent

EXAMPLES = Path(__file__).parents[3] / "realtime" / "examples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the examples, as a user would take it."""
    copy = tmp_path / "examples"
    shutil.copytree(EXAMPLES, copy)
    return copy


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*words: object, folder: Path, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*map(str, words)], cwd=folder, input=given, capture_output=True, encoding="utf-8",
        check=False, timeout=120,
    )  # fmt: skip


def every_kind() -> list[AnyEvent]:
    """Events of all types, and of a live session too."""
    latency = schema.Latency(**dict.fromkeys(schema.Latency.__struct_fields__, 0.5))
    events = list(conversation())
    answer = next(event for event in events if isinstance(event, UtteranceEvent))
    return [*events, msgspec.structs.replace(answer, latency=latency)]


@pytest.mark.parametrize(
    ("file", "text"),
    [("events.ts", client_types.typescript()), ("Events.cs", client_types.csharp())],
)
def test_the_files_are_those_that_make_schema_writes(file: str, text: str) -> None:
    assert (EXAMPLES / file).read_text(encoding="utf-8") == text


def test_events_have_the_types_and_nothing_else_has(folder: Path) -> None:
    """A compiler accepts every event as one, with no field too many, and refuses what is none."""
    tsc = program("tsc")
    events = [schema.encode(event).decode() for event in every_kind()]
    right = "".join(f"  {event},\n" for event in events)
    (folder / "right.ts").write_text(
        f'import type {{ Event }} from "./events"\nexport const events: Event[] = [\n{right}]\n'
    )
    done = run(tsc, "--noEmit", "--strict", "right.ts", folder=folder)
    assert done.returncode == 0, done.stdout
    for wrong in (events[2].replace('"confidence":', '"sure":'), events[0].replace(":0,", ':"0",')):
        (folder / "wrong.ts").write_text(
            f'import type {{ Event }} from "./events"\nexport const event: Event = {wrong}\n'
        )
        assert run(tsc, "--noEmit", "--strict", "wrong.ts", folder=folder).returncode != 0


def test_the_client_in_typescript_prints_who_shows_what(folder: Path, tmp_path: Path) -> None:
    node, tsc = program("node"), program("tsc")
    compiled = run(tsc, folder=folder)
    assert compiled.returncode == 0, compiled.stdout
    events = list(conversation())
    with shown(tmp_path, events[0].session) as (station, page):
        station.send(events)
        done = run(node, "--experimental-websocket", "client.js", page.address, folder=folder)
    assert done.returncode == 0, done.stderr
    spoken = [event for event in events if isinstance(event, UtteranceEvent)]
    assert [line.partition(" (")[0] for line in done.stdout.splitlines()] == [
        f"{event.utterance.speaker}: {event.emotion.label}" for event in spoken
    ]


def test_the_client_in_csharp_prints_who_shows_what(folder: Path) -> None:
    compiler, mono = program("mcs"), program("mono")
    made = run(
        compiler, "-r:System.Runtime.Serialization", "-out:Client.exe", "Client.cs", "Events.cs",
        folder=folder,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    events = every_kind()
    lines = "".join(f"{schema.encode(event).decode()}\n" for event in events)
    done = run(mono, "Client.exe", folder=folder, given=lines)
    assert done.returncode == 0, done.stderr
    spoken = [event for event in events if isinstance(event, UtteranceEvent)]
    assert done.stdout.splitlines() == [
        f"{event.utterance.speaker}: {event.emotion.label} "
        f"(joy {event.emotion.probabilities['joy']:g}) {event.utterance.text}"
        for event in spoken
    ]
