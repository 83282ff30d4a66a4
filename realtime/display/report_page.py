"""The report of a session: one HTML page that loads nothing from the network."""

from collections.abc import Iterable
from pathlib import Path

from gscon_live.common.files import check_output, write_output
from gscon_live.common.templates import rendered
from gscon_live.realtime.display.report_data import page_data, sessions
from gscon_live.realtime.events.schema import AnyEvent

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


def render(events: Iterable[AnyEvent], title: str) -> str:
    """The page for the sessions among the events, one below the other.

    A session without utterances gives a page that says so. All text from outside (words, names,
    reasons) is escaped.
    """
    groups = sessions(events) or [[]]
    pages = [page_data(group, number) for number, group in enumerate(groups, 1)]
    return rendered(_TEMPLATE, title=title, pages=pages)


def write_report(events: Iterable[AnyEvent], path: Path | str, title: str | None = None) -> None:
    """Writes the page. The default of `title` is the file's name without its ending.

    Raises:
        InputError: the path is a folder, or its folder does not exist.
        Failure: the file cannot be written; what was there before is left as it was.
    """
    path = Path(path)
    check_output(path)
    page = render(events, title or path.stem)
    # UTF-8 cannot encode a lone surrogate: it becomes a question mark.
    write_output(path, page.encode("utf-8", errors="replace"))
