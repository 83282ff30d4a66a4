"""`gscon-live doctor`: which devices, models and files are there, and the remedy if not."""

from collections.abc import Callable, Sequence

from gscon_live.common import extras

extras.require("live", __name__)

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.configs import loader
from gscon_live.realtime.doctor_checks import CHECKS, Missing
from gscon_live.realtime.doctor_verdicts import Verdict, verdicts
from gscon_live.realtime.pipeline.settings import Settings

EXAMPLES = """
gscon-live doctor
gscon-live doctor --json
gscon-live doctor transcription.transcriber=auto:models/whisper-small
"""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check. `needed`: without it nothing works."""

    name: str
    present: bool = msgspec.field(name="found")
    detail: str
    remedy: str = ""
    needed: bool = False


def examine(settings: Settings) -> list[Finding]:
    """Runs all checks for a set-up. Never raises: an error is a finding."""
    return [
        _safely(name, needed, remedy, lambda check=check: check(settings))  # type: ignore[misc]
        for name, needed, remedy, check in CHECKS
    ]


def _safely(name: str, needed: bool, remedy: str, check: Callable[[], str]) -> Finding:
    """The result of a check, or its error."""
    try:
        return Finding(name=name, present=True, detail=check(), needed=needed)
    except Missing as missing:
        detail, remedy = missing.detail, missing.remedy or remedy
    except (InputError, Failure) as error:
        detail = _one_line(error)
    except Exception as error:  # the doctor reports all errors
        detail = f"{type(error).__name__}: {_one_line(error)}"
    return Finding(name=name, present=False, detail=detail, remedy=remedy, needed=needed)


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns 0, or 1 if something is missing without which nothing works."""
    parser = cli.parser(
        "gscon-live doctor",
        "Says which devices, models and files are found or missing, and the remedy for each.",
        EXAMPLES,
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    parser.add_argument("--config", default="live", help="a set-up by name or path (default: live)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    chosen = parser.parse_intermixed_args(arguments)
    settings = loader.load(chosen.config, Settings, chosen.overrides)
    with Console(stderr=True).status("looking for devices and models"):
        findings = examine(settings)
    works = all(finding.present for finding in findings if finding.needed)
    if chosen.json:
        report = msgspec.json.encode(
            {
                "works": works,
                "findings": findings,
                "verdicts": [verdict._asdict() for verdict in verdicts(findings)],
            }
        )
        print(msgspec.json.format(report, indent=2).decode())
    else:
        _print(findings)
        _print_verdicts(verdicts(findings))
    return cli.OK if works else cli.FAILED


def _print(findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "detail and remedy"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        style = "green" if finding.present else "red" if finding.needed else "yellow"
        detail = Text(finding.detail)
        if not finding.present:
            detail.append(f"\n→ {finding.remedy}", style="dim")
        word = "found" if finding.present else "MISSING" if finding.needed else "missing"
        table.add_row(Text(word, style=style), finding.name, detail)
    console = Console()
    console.print(table)
    missing = [finding.name for finding in findings if finding.needed and not finding.present]
    if missing:
        console.print(f"\nNothing works without: {', '.join(missing)}.", markup=False)


def _print_verdicts(given: Sequence[Verdict]) -> None:
    console = Console()
    console.print()
    for verdict in given:
        style = "green" if verdict.ready else "yellow"
        console.print(Text(verdict.line, style=style), soft_wrap=True)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    cli.program(main)
