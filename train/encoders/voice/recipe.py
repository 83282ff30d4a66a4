"""The recipe of voice encoders."""

from typing import Annotated, Literal

import msgspec

from gscon_live.train.engine.devices import Accelerator, Precision

Positive = Annotated[int, msgspec.Meta(ge=1)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class VoiceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training and cross-validation of a voice encoder."""

    kind: Literal["voice"] = "voice"
    #: Results go to `runs/<name>/`.
    name: str = "voice"
    #: Seed of all random numbers.
    seed: int = 1
    #: Folds of RAVDESS' actors to evaluate; fewer than 6: for a quick look.
    folds: Annotated[int, msgspec.Meta(ge=1, le=6)] = 6
    #: Passes over all clips; the last epoch is kept.
    epochs: Positive = 80
    #: Clips in a step.
    batch: Positive = 32
    #: Peak learning rate of AdamW, see `train.engine.schedule`.
    learning_rate: float = 3e-3
    #: Weight decay.
    weight_decay: float = 0.05
    #: Share of all steps with a rising learning rate (warm-up).
    warm_up: float = 0.1
    #: Label smoothing.
    label_smoothing: float = 0.1
    #: Dropout on the representation.
    dropout: float = 0.3
    #: Decay per step of the moving average of the weights, which is kept; 0: none.
    average: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.98
    #: Probability of a codec of telephones or calls, see `train.data.codecs`.
    coded: Probability = 0.2
    #: Length of a random crop of a clip, in columns of 20 ms.
    columns: Positive = 180
    #: Maximum change of speed, as a share.
    speed: float = 0.15
    #: Maximum shift of frequencies, in bands.
    shift: float = 3.0
    #: Standard deviation in dB of a random frequency response.
    colour: float = 2.5
    #: Probability of reverberation of 0.2 to 0.8 s.
    room: Probability = 0.2
    #: Probability of noise at 10 to 35 dB SNR.
    noise: Probability = 0.7
    #: Probability of a band limit: below 60 to 450 Hz and above 2800 to 9000 Hz.
    band: Probability = 0.3
    #: Probability of masking of bands, and of columns; twice each (SpecAugment).
    hidden: Probability = 0.7
    #: `auto` takes a GPU where available.
    accelerator: Accelerator = "auto"
    #: Numerical precision.
    precision: Precision = "32-true"
    #: Number of CPU threads.
    threads: Positive = 1
    #: Install the encoder as `model/weights/voice.safetensors`.
    ship: bool = False
