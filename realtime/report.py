"""A session as one self-contained HTML page: `gscon-live report EVENTS.jsonl OUT.html`.

The page needs no network and no knowledge of the project. `read` and `render` are pure; only
`write_report` touches the disk.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from gscon_live.common import extras

extras.require("live", __name__)

import msgspec

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.common.files import check_output, write_output
from gscon_live.common.templates import rendered
from gscon_live.realtime.display.report_view import view
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent

_TEMPLATE = Path(__file__).parent / "display" / "report.html.j2"


def render(events: Iterable[AnyEvent], title: str) -> str:
    """The page on the first session among the events; it says so where there are more.

    A session without utterances gives a page that says that. Everything that came from outside
    (words, names, reasons) is escaped.
    """
    return rendered(_TEMPLATE, title=title, page=view(events))


def write_report(events: Iterable[AnyEvent], path: Path | str, title: str | None = None) -> None:
    """Writes the page; `title` is the file's name where none is given.

    Raises:
        InputError: the folder is missing, or the path is one.
        Failure: the file cannot be written; what was there before is left as it was.
    """
    path = Path(path)
    check_output(path)
    page = render(events, title or path.stem)
    # Words may hold what UTF-8 cannot: a lone surrogate becomes a question mark.
    write_output(path, page.encode("utf-8", errors="replace"))


def read(path: Path) -> list[AnyEvent]:
    """The events of a JSON lines file. Raises `InputError` naming the line that is none."""
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


def main(arguments: Sequence[str]) -> None:
    parser = cli.parser(
        "gscon-live report",
        "Turns a file of events into one HTML page to look at.",
        """
        gscon-live report session.jsonl session.html
        """,
    )
    parser.add_argument("events", type=Path, metavar="EVENTS.jsonl", help="events of one session")
    parser.add_argument("out", type=Path, metavar="OUT.html", help="the page to write")
    parser.add_argument("--title", help="heading of the page (default: the name of the events)")
    options = parser.parse_args(arguments)
    check_output(options.out)
    write_report(read(options.events), options.out, options.title or options.events.stem)
    print(options.out)


if __name__ == "__main__":
    sys.exit(cli.run(main))
