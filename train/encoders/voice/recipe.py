"""The recipe of voice encoders."""

from typing import Annotated, Literal

import msgspec

from gscon_live.train.engine.devices import Accelerator, Precision

Positive = Annotated[int, msgspec.Meta(ge=1)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class VoiceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a voice encoder is trained and measured."""

    kind: Literal["voice"] = "voice"
    #: Results go to `runs/<name>/`.
    name: str = "voice"
    #: Of all random numbers.
    seed: int = 1
    #: Folds of RAVDESS' actors that are measured; fewer than 6: for a quick look.
    folds: Annotated[int, msgspec.Meta(ge=1, le=6)] = 6
    #: How often all clips are heard; the last epoch is kept.
    epochs: Positive = 80
    #: Clips in a step.
    batch: Positive = 32
    #: The highest rate of AdamW, see `train.engine.schedule`.
    learning_rate: float = 3e-3
    #: Decay of the weights.
    weight_decay: float = 0.05
    #: Share of all steps in which the rate rises.
    warm_up: float = 0.1
    #: Share of each label that is spread over all emotions.
    label_smoothing: float = 0.1
    #: Share of the representation that is left out at random.
    dropout: float = 0.3
    #: Decay, in a step, of the weights' moving average, which is kept; 0: none.
    average: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.98
    #: Probability of a telephone's codec or one of calls, see `train.data.codecs`.
    coded: Probability = 0.2
    #: Columns of 20 ms that are taken of a clip.
    columns: Positive = 180
    #: Clips are faster or slower by up to this share.
    speed: float = 0.15
    #: Frequencies are moved by up to so many bands.
    shift: float = 3.0
    #: Levels of the bands follow a random curve of about so many dB.
    colour: float = 2.5
    #: Probability of a room that reverberates for 0.2 to 0.8 s.
    room: Probability = 0.2
    #: Probability of noise 10 to 35 dB below.
    noise: Probability = 0.7
    #: Probability of a microphone that fades below 60 to 450 and above 2800 to 9000 Hz.
    band: Probability = 0.3
    #: Probability that bands, and that columns, are left out; twice each.
    hidden: Probability = 0.7
    #: `auto` takes a GPU where there is one.
    accelerator: Accelerator = "auto"
    #: Of calculation.
    precision: Precision = "32-true"
    #: Threads that calculate on the CPU.
    threads: Positive = 1
    #: Install the encoder as `model/weights/voice.safetensors`.
    ship: bool = False
