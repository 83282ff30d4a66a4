"""The events of a session as a file: what the gateway still has of them."""

import io
import re
from collections.abc import Iterable

from gscon_live.realtime.events import schema, sinks

#: The formats by the ending of their files, with their types.
FORMATS = {"jsonl": "application/x-ndjson", "csv": "text/csv", "vtt": "text/vtt"}


def content(lines: Iterable[str], ending: str) -> bytes:
    """The events, each a line of JSON, as the sink of this ending writes them, in UTF-8."""
    stream = io.StringIO()
    sink = sinks.of_name(ending)(stream)
    for line in lines:
        if isinstance(sink, sinks.JsonLines):
            sink.write_line(line)
        else:
            sink.write(schema.decode(line))
    return stream.getvalue().encode("utf-8", errors="replace")


def file_name(session: str, ending: str) -> str:
    """The name of the file, of letters that every system takes."""
    return f"gscon-live-{re.sub('[^A-Za-z0-9_-]+', '-', session)[:64]}.{ending}"
