"""The recipe of text encoders."""

from typing import Annotated, Literal

import msgspec

from gscon_live.model.encoders.text.context_encoder import ContextSettings
from gscon_live.train.data.asr_noise import Mishearing
from gscon_live.train.engine.devices import Accelerator, Precision
from gscon_live.train.engine.trainer import Keep

Positive = Annotated[int, msgspec.Meta(ge=1)]


class TextRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a text encoder is trained."""

    kind: Literal["text"] = "text"
    #: By which its files in the cache can be told.
    name: str = "text"
    #: Corpora that are learned together, each with a head of its own.
    corpora: tuple[str, ...] = ("iemocap",)
    #: The recipe whose encoder is taken to begin with; None: the sentence encoder as it is.
    start: str | None = None
    #: How many trainings.
    seeds: Positive = 1
    #: The first one's seed; each other's is one more.
    first_seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    #: How often all training dialogues are read.
    epochs: Positive = 4
    #: Which epoch is kept: the best by the mean of the corpora's weighted F1, or the last.
    keep: Keep = "best"
    #: Tokens in a step.
    batch: Positive = 1600
    #: Tokens of a dialogue at a time; longer ones are cut.
    stretch: Positive = 256
    #: The highest rate of the encoder's weights, see `train.engine.schedule`.
    learning_rate: float = 6e-5
    #: That of the biases by which utterances are read in their context.
    bias_learning_rate: float = 2e-3
    #: That of the heads.
    head_learning_rate: float = 5e-4
    #: Decay of the weights, but not of vectors and biases.
    weight_decay: float = 0.01
    #: Share of each label that is spread over all emotions.
    label_smoothing: float = 0.05
    #: Share of what the heads read that is left out at random.
    dropout: float = 0.2
    #: Decay, in a step, of the weights' moving average, which is scored and kept; 0: none.
    average: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    #: Layers above the embeddings that stay as they are, like these; -1: nothing stays.
    frozen: int = 0
    #: Heads also read prosody, so that words need not explain what the voice tells.
    prosody: bool = True
    #: Corpora no scene of which is learned from another corpus, whatever their split.
    apart: tuple[str, ...] = ()
    #: Parts of each corpus' training dialogues.
    parts: Annotated[int, msgspec.Meta(ge=2)] = 3
    #: The part that is left out, from 1; 0: none.
    left_out: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: What a recogniser makes of the words, anew in each epoch; None: nothing.
    mishearing: Mishearing | None = None
    #: `auto` takes a GPU where there is one.
    accelerator: Accelerator = "auto"
    #: Of calculation.
    precision: Precision = "32-true"
    #: Threads that calculate on the CPU.
    threads: Positive = 1
    #: How far an utterance looks back.
    context: ContextSettings = ContextSettings()
    #: Install what was learned as `model/weights/text.safetensors`.
    ship: bool = False
