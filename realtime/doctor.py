"""`gscon-live doctor`: devices, models and files found or missing, and the remedies."""

import sys
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
from gscon_live.realtime.pipeline.settings import Settings

EXAMPLES = """
gscon-live doctor
gscon-live doctor --json
gscon-live doctor transcription.transcriber=auto:models/whisper-small
"""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked for. `needed`: without it nothing works."""

    name: str
    found: bool
    detail: str
    remedy: str = ""
    needed: bool = False


def examine(settings: Settings) -> list[Finding]:
    """Looks for everything the set-up uses. Never raises: what fails is a finding."""
    return [
        _safely(name, needed, remedy, lambda check=check: check(settings))  # type: ignore[misc]
        for name, needed, remedy, check in CHECKS
    ]


def _safely(name: str, needed: bool, remedy: str, check: Callable[[], str]) -> Finding:
    """The check's detail, or its error as a finding: `Missing` and `InputError` bring a text."""
    try:
        return Finding(name=name, found=True, detail=check(), needed=needed)
    except Missing as missing:
        detail, remedy = missing.detail, missing.remedy or remedy
    except (InputError, Failure) as error:
        detail = _one_line(error)
    except Exception as error:  # the doctor's task is to report what is broken, whatever it is
        detail = f"{type(error).__name__}: {_one_line(error)}"
    return Finding(name=name, found=False, detail=detail, remedy=remedy, needed=needed)


def main(arguments: Sequence[str]) -> int:
    """Entry point: 0, or 1 where something is missing without which nothing works."""
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
    works = all(finding.found for finding in findings if finding.needed)
    if chosen.json:
        whole = msgspec.json.encode({"works": works, "findings": findings})
        print(msgspec.json.format(whole, indent=2).decode())
    else:
        _print(findings)
    return cli.OK if works else cli.FAILED


def _print(findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "detail and remedy"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        style = "green" if finding.found else "red" if finding.needed else "yellow"
        detail = Text(finding.detail)
        if not finding.found:
            detail.append(f"\n→ {finding.remedy}", style="dim")
        word = "found" if finding.found else "MISSING" if finding.needed else "missing"
        table.add_row(Text(word, style=style), finding.name, detail)
    console = Console()
    console.print(table)
    lost = [finding.name for finding in findings if finding.needed and not finding.found]
    if lost:
        console.print(f"\nNothing works without: {', '.join(lost)}.", markup=False)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(cli.run(main))
