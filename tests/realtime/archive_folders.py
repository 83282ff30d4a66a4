"""Archives for tests: entries of generated sessions, without replaying anything."""

import random
from contextlib import closing
from pathlib import Path

import msgspec
from made_events import conversation

from gscon_live.realtime.archive import views
from gscon_live.realtime.archive.entries import Entry, Facts
from gscon_live.realtime.archive.station import entry_of
from gscon_live.realtime.archive.store import EVENTS, RECORD, Archive, folder_name
from gscon_live.realtime.archive.versions import views_version
from gscon_live.realtime.events import sinks


def facts_of(name: str, content: str) -> Facts:
    return Facts(name=name, content=content, duration=30.0, has_audio=True, has_video=True,
                 has_captions=True)  # fmt: skip


def placed(archive: Archive, path: str, seed: int, key: str = "") -> Entry:
    """Puts the results of a generated session into an archive, as a worker does."""
    key = key or f"{random.Random(seed).getrandbits(128):032x}"
    facts = facts_of(Path(path).name, f"content {seed}")
    folder = folder_name(facts.name, key)
    with archive.results.placing(folder) as place:
        with closing(sinks.JsonLines(place / EVENTS)) as events:
            for event in conversation(10, seed):
                if hasattr(event, "source"):
                    event = msgspec.structs.replace(event, source=facts.name)
                events.write(event)
        views.write_views(place, facts.name)
        record = {"path": path, "key": key, "views": views_version(), "notices": ["a notice"]}
        (place / RECORD).write_bytes(msgspec.json.encode(record))
    entry = entry_of(archive.results, path, "stamp", key, facts)
    archive.add(entry)
    return entry
