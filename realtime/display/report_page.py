"""The report of a session: one HTML page that loads nothing from the network."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from gscon_live.common.errors import InputError
from gscon_live.common.files import check_output, write_output
from gscon_live.common.templates import rendered
from gscon_live.realtime.display import report_figure
from gscon_live.realtime.display.report_data import page_data, sessions
from gscon_live.realtime.events.corrections import ENDING, Corrections, encode
from gscon_live.realtime.events.schema import AnyEvent, SessionEnded, UtteranceEvent

#: The endings of a page's file.
ENDINGS = (".html", ".htm")
#: How a page begins: since 0.2 with a generator, before with this title.
_BEGINS = (
    b'<meta name="generator" content="gscon-live report">',
    b"emotions in a conversation</title>",
)

_TEMPLATE = Path(__file__).parent / "report.html.j2"


def ours(head: bytes) -> bool:
    """Whether a file that begins with `head` is such a page."""
    return head.lstrip().startswith(b"<!doctype html>") and any(mark in head for mark in _BEGINS)


class Beside(NamedTuple):
    """What belongs to a page and lies beside it.

    `corrections` is what people corrected so far, `corrections_name` the file that the page saves;
    `media` are the addresses of the recordings, relative to the page, one for each session; ""
    where it is not known. There may be fewer than sessions.
    """

    corrections: Corrections = Corrections()
    corrections_name: str = f"events{ENDING}"
    media: Sequence[str] = ()


def address(recording: Path, page: Path) -> str:
    """The address of a recording relative to a page, so that both can be moved together; of another
    drive, its whole address."""
    # The recording itself may be a link: the browser follows it, as this program does.
    lies_at = recording.parent.resolve() / recording.name
    try:
        relative = os.path.relpath(lies_at, page.resolve().parent)
    except ValueError:
        return lies_at.as_uri()
    # As bytes: a name may be no valid UTF-8.
    return quote(os.fsencode(Path(relative).as_posix()))


def render(events: Iterable[AnyEvent], title: str, beside: Beside = Beside()) -> str:  # noqa: B008
    """The page for the sessions among the events, one below the other.

    A session without utterances gives a page that says so. All text from outside (words, names,
    reasons) is escaped.
    """
    groups = sessions(events) or [[]]
    pages = [page_data(group, number, beside.corrections) for number, group in enumerate(groups, 1)]
    return rendered(
        _TEMPLATE,
        title=title,
        pages=pages,
        corrections=encode(beside.corrections).decode(),
        corrections_name=beside.corrections_name,
        media=[*beside.media, *[""] * len(groups)][: len(groups)],
    )


def figure(events: Iterable[AnyEvent], name: object) -> str:
    """The session as a picture (SVG), for a paper.

    Raises:
        InputError: there are several sessions, or none with utterances; `name` is that of the file.
    """
    groups = sessions(events)
    if len(groups) > 1:
        raise InputError(f"{name}: has {len(groups)} sessions; give a file for each figure")
    spoken = [event for group in groups for event in group if isinstance(event, UtteranceEvent)]
    if not spoken:
        raise InputError(f"{name}: has no utterances, so there is nothing to draw")
    spoken.sort(key=lambda event: (event.utterance.start, event.utterance.id))
    ended = next((e.duration for e in groups[0] if isinstance(e, SessionEnded)), 0.0)
    last = max(event.utterance.end for event in spoken)
    return report_figure.figure(spoken, max(ended, last)) + "\n"


def is_figure(head: bytes) -> bool:
    """Whether a file that begins with `head` is such a picture."""
    return head.startswith(b"<svg") and b'aria-label="Emotions over time"' in head


def write_report(
    events: Iterable[AnyEvent],
    path: Path | str,
    title: str | None = None,
    beside: Beside | None = None,
) -> None:
    """Writes the page. The default of `title` is the file's name without its ending.

    Raises:
        InputError: the path is a folder, or its folder does not exist.
        Failure: the file cannot be written; what was there before is left as it was.
    """
    path = Path(path)
    check_output(path)
    page = render(events, title or path.stem, beside or Beside())
    # UTF-8 cannot encode a lone surrogate: it becomes a question mark.
    write_output(path, page.encode("utf-8", errors="replace"))
