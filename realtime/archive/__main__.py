"""`gscon-live archive PATH... --out DIR`: the emotions of many recordings, in one archive."""

import argparse
import contextlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from gscon_live.common import extras, signals

signals.exit_at_once_in(__name__)
extras.require("live", __name__)

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.configs import loader
from gscon_live.realtime.archive import inputs, pool
from gscon_live.realtime.archive.build import build, failures_of, work_to_do
from gscon_live.realtime.archive.keys import Keys
from gscon_live.realtime.archive.station import Recipe
from gscon_live.realtime.archive.store import Archive
from gscon_live.realtime.archive.tables import corrections_of
from gscon_live.realtime.capture import recording_inputs
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.listen import transcription_source
from gscon_live.realtime.pipeline.settings import Settings, of_options
from gscon_live.realtime.session.model_checks import check_models

EXAMPLES = """
gscon-live archive interviews --out archive
gscon-live archive "day1/*.mp4" day2 --out archive --workers 4
gscon-live archive --list recordings.txt --out archive recognition.prior=flat
gscon-live archive /shared/interviews --out /shared/archive --ray auto
gscon-live archive s3://bucket/interviews --allow-url --out archive
"""


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live archive",
        "Recognises the emotions of many recordings: events, report and table of each, tables over "
        "all, and an index page. Run it again, and only what is new or changed is done.",
        EXAMPLES,
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="PATH|key=value",
        help="folders, globs, files or URLs, and settings to change",
    )
    parser.add_argument(
        "--allow-url", action="store_true", help="open URLs: http, https, s3, gs and others"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="a new folder, or an archive"
    )
    parser.add_argument(
        "--list",
        action="append",
        default=[],
        metavar="FILE",
        help="a text file with a path a line (-: standard input)",
    )
    parser.add_argument(
        "--captions",
        default="auto",
        choices=["auto", "off"],
        help="words and utterance bounds from captions in a file or beside it (auto), or not",
    )
    parser.add_argument(
        "--transcriber",
        metavar="auto|off|NAME|DIR",
        help="recognise the words with a faster-whisper model, by name or directory",
    )
    parser.add_argument(
        "--workers",
        default="auto",
        metavar="auto|NUMBER",
        help="processes at a time (default: as cores and memory allow)",
    )
    parser.add_argument(
        "--ray", metavar="ADDRESS|auto", help="work on an existing Ray cluster instead"
    )
    parser.add_argument(
        "--details",
        action="store_true",
        help="also tables of every second and every picture: voice, pitch, faces, expressions",
    )
    parser.add_argument(
        "--people",
        action="store_true",
        help="find the same person in other recordings by the voice: people who agreed to it",
    )
    parser.add_argument("--config", default="live", help="a set-up by name or path (default: live)")
    parser.add_argument("--no-text", action="store_true", help="keep the words out of the results")
    parser.add_argument("--quiet", action="store_true", help="print errors and failures only")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns the exit code."""
    signals.exit_at_once()
    parser = _parser()
    chosen = parser.parse_intermixed_args(arguments)
    paths, overrides = recording_inputs.separate(chosen.words, Settings.__struct_fields__)
    if not paths and not chosen.list:
        parser.error("give at least one PATH, or --list FILE")
    overrides += of_options(chosen.transcriber, chosen.no_text)
    settings = loader.load(chosen.config, Settings, overrides)
    count = _count(chosen.workers)
    if chosen.ray is not None:
        extras.require("ray", __name__)
    signals.raise_interrupts()
    given = inputs.expand(paths, chosen.list, chosen.out, chosen.allow_url)
    archive = Archive(chosen.out)
    corrections_of(archive)  # refused now rather than after hours
    check_models(settings)
    notices = Notices(quiet=chosen.quiet)
    recipe = Recipe(
        settings=settings,
        captions=chosen.captions,
        out=str(chosen.out.resolve()),
        details=chosen.details,
        people=chosen.people,
    )
    archive.begin(chosen.details, chosen.people)
    work = work_to_do(archive, given, recipe, Keys(settings, chosen.captions, notices.say))
    if work.done:
        notices.say(f"{work.done} of {len(given.recordings)} recordings are done already")
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    with contextlib.ExitStack() as stack:
        workers: pool.Workers
        if chosen.ray is not None:
            from gscon_live.realtime.archive.cluster import RayWorkers

            workers = stack.enter_context(
                contextlib.closing(RayWorkers(recipe, chosen.ray, count, notices.say))
            )
        else:
            count = count or pool.workers_that_pay(
                len(work.sizes), transcription_source.here(settings.transcription)
            )
            workers = pool.LocalWorkers(recipe, count)
        noted = signals.note(stop)
        complete = build(archive, given, work, workers, lambda: stopped, not chosen.quiet)
    if not complete and noted.number is not None:
        notices.say(f"{signals.in_words(noted.number)}; the same command goes on where it stopped")
        return signals.exit_code(noted.number)
    notices.say(f"wrote {chosen.out / 'index.html'}")
    if importlib.util.find_spec("pyarrow") is None:
        notices.say("no Parquet: run pip install 'gscon-live[archive]' for it")
    failures = failures_of(archive, given)
    if failures:
        raise Failure(
            f"{len(failures)} of {len(given.recordings) + len(given.problems)} failed; "
            f"{chosen.out / 'index.html'} says why, and the same command tries them again"
        )
    return cli.OK


def _count(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--workers {text}: expected auto or a number above 0")
    return int(text)


if __name__ == "__main__":
    cli.program(main)
