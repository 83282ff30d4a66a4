"""The report of a session: one HTML page that loads nothing from the network."""

from collections.abc import Iterable
from pathlib import Path

from gscon_live.common.files import check_output, write_output
from gscon_live.common.templates import rendered
from gscon_live.realtime.display.report_data import page_data
from gscon_live.realtime.events.schema import AnyEvent

_TEMPLATE = Path(__file__).parent / "report.html.j2"


def render(events: Iterable[AnyEvent], title: str) -> str:
    """The page for the first session among the events; a remark counts further sessions.

    A session without utterances gives a page that says so. All text from outside (words, names,
    reasons) is escaped.
    """
    return rendered(_TEMPLATE, title=title, page=page_data(events))


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
