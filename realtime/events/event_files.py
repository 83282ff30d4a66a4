"""Files of events, as `--events` writes them."""

from pathlib import Path

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent


def read_events(path: Path) -> list[AnyEvent]:
    """The events of a JSON lines file.

    Raises:
        InputError: the file cannot be read, or a line is no event; names the line.
    """
    events: list[AnyEvent] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file of events") from error
    for number, line in enumerate(lines, 1):
        try:
            events.append(schema.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path} line {number}: no event of {schema.SCHEMA} ({error}); "
                "give a file made with --events"
            ) from error
    return events
