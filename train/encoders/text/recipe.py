"""The recipe of text encoders."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text import packaged_encoders
from gscon_live.model.encoders.text.context_encoder import ContextSettings
from gscon_live.train.bounds import Below1, NotNegative, Positive, UpTo1
from gscon_live.train.corpora.sessions import LeftOut
from gscon_live.train.data.asr_noise import AsrNoise
from gscon_live.train.encoders.text.fine_tuning import FineTuning
from gscon_live.train.engine.devices import Accelerator, Precision
from gscon_live.train.engine.trainer import Keep


class TextRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training of a text encoder."""

    kind: Literal["text"] = "text"
    #: The name of its files in the cache.
    name: str = "text"
    #: Training corpora.
    corpora: tuple[str, ...] = ("iemocap",)
    #: The recipe whose encoder is the starting point; None: the sentence encoder.
    start: str | None = None
    #: The encoder to train: a folder with a `transformers` encoder of the layout of BERT, MPNet or
    #: RoBERTa; or its name in the folder GSCON_MODELS, or among those that `gscon-live setup`
    #: fetches. None: the sentence encoder.
    encoder: str | None = None
    #: One head for all corpora with the seven emotions, which is told how frequent each emotion is
    #: in each corpus; else each corpus has its own.
    shared_head: bool = False
    #: The recipe whose encoder is the teacher of this one, see `train.encoders.text.distillation`;
    #: None: no teacher.
    teacher: str | None = None
    #: Share of the teacher's probabilities in the training labels.
    distillation: UpTo1 = 0.5
    #: Number of seeds.
    seeds: Positive = 1
    #: The first seed; the others follow in steps of one.
    first_seed: NotNegative = 1
    #: Passes over the training dialogues.
    epochs: Positive = 4
    #: The epoch to keep: the best by the mean of the corpora's weighted F1, or the last.
    keep: Keep = "best"
    #: Tokens in a step.
    batch: Positive = 1600
    #: Maximum length of a stretch of a dialogue in tokens; longer dialogues are cut.
    stretch: Positive = 256
    #: Peak learning rate of the encoder's weights, see `train.engine.schedule`.
    learning_rate: float = 6e-5
    #: Peak learning rate of the attention biases of the context.
    bias_learning_rate: float = 2e-3
    #: Peak learning rate of the heads.
    head_learning_rate: float = 5e-4
    #: Weight decay, except on vectors and biases.
    weight_decay: float = 0.01
    #: Label smoothing.
    label_smoothing: float = 0.05
    #: Dropout in the heads.
    dropout: float = 0.2
    #: Decay per step of the moving average of the weights, which is scored and kept; 0: none.
    average: Below1 = 0.0
    #: Number of frozen layers above the frozen embeddings; -1: nothing is frozen.
    frozen: int = 0
    #: Heads also read prosody, so that the words need not explain the voice.
    prosody: bool = True
    #: Corpora whose scenes, of all splits, are left out of the training of other corpora.
    apart: tuple[str, ...] = ()
    #: Number of folds of each corpus' training dialogues.
    parts: Annotated[int, msgspec.Meta(ge=2)] = 3
    #: The fold that is left out, from 1; 0: none. Only MELD, IEMOCAP and EmoryNLP have folds.
    left_out: NotNegative = 0
    #: The session of IEMOCAP, from 1 to 4, that is left out of the training; 0: none. It is
    #: validation in place of the corpus' own, whose speakers are in training. `each`: seed 1 leaves
    #: out session 1, seed 2 session 2, and so on, in turn.
    left_out_session: LeftOut = 0
    #: The encoder reads words without punctuation and case, in training and in use.
    normalise: bool = False
    #: Each utterance begins with its speaker's name, as in EmoBERTa (Kim and Vossen 2021); else
    #: speakers are told apart, and have no names.
    speaker_names: bool = False
    #: Simulated recognition errors, drawn anew in each epoch; None: none.
    mishearing: AsrNoise | None = None
    #: `auto` takes a GPU where available.
    accelerator: Accelerator = "auto"
    #: Numerical precision; `auto` is bf16-mixed on a GPU that has it and on a CPU with AMX, else
    #: 32-true. The file of the trained encoder names it. Corpora are read in the same precision.
    precision: Precision = "32-true"
    #: Number of CPU threads.
    threads: Positive = 1
    #: The context of an utterance.
    context: ContextSettings = ContextSettings()
    #: Ways of fine-tuning from the literature, see `train.encoders.text.fine_tuning`.
    fine_tuning: FineTuning = FineTuning()
    #: Install the encoder as `model/weights/text.safetensors`.
    ship: bool = False


def directory(recipe: TextRecipe) -> Path | None:
    """The folder of a recipe's encoder; None for the sentence encoder.

    Raises:
        InputError: there is neither such a folder nor an encoder of this name.
    """
    if recipe.encoder is None:
        return None
    path = Path(recipe.encoder).expanduser()
    named = Path(os.environ.get("GSCON_MODELS", ".")) / recipe.encoder
    for folder in (path, named, packaged_encoders.find(recipe.encoder)):
        if folder is not None and folder.is_dir():
            return folder
    fetch = (
        f"fetch it with gscon-live setup --text-encoder {recipe.encoder}"
        if recipe.encoder in packaged_encoders.ENCODERS
        else "give the path of a transformers encoder"
    )
    raise InputError(
        f"recipe {recipe.name!r}: encoder {recipe.encoder}: no such folder; {fetch}, or set "
        "GSCON_MODELS to the folder that holds it"
    )
