"""The recipe of the face encoder."""

from typing import Annotated, Literal

import msgspec

from gscon_live.train.engine.devices import Accelerator, Precision

Positive = Annotated[int, msgspec.Meta(ge=1)]


class FaceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the face encoder is trained."""

    kind: Literal["face"] = "face"
    #: Results go to `runs/<name>/`.
    name: str = "face"
    #: Of all random numbers.
    seed: int = 1
    #: How often all training faces are seen.
    epochs: Positive = 170
    #: Faces in a step.
    batch: Positive = 256
    #: The highest rate of stochastic gradient descent, see `train.engine.schedule`.
    learning_rate: float = 0.15
    #: Its momentum (Nesterov's).
    momentum: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.9
    #: Decay of the weights, but not of biases and normalisations.
    weight_decay: float = 5e-4
    #: Share of all steps in which the rate rises.
    warm_up: float = 0.08
    #: Share of each label that is spread over all emotions.
    label_smoothing: float = 0.1
    #: Share of the representation that is left out at random.
    dropout: float = 0.3
    #: Decay, in a step, of the weights' moving average, which is scored and kept; 0: none.
    average: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.997
    #: Faces are turned by up to so many degrees.
    rotation: float = 15.0
    #: Faces are moved by up to this share of the picture.
    shift: float = 0.1
    #: Faces are made larger or smaller by up to this share.
    scale: float = 0.2
    #: Probability that a face is out of focus; a third of it: seen from afar.
    blur: float = 0.25
    #: How strong light from a side and another gamma are; 0: none.
    light: float = 0.4
    #: Probability of the noise of bad light.
    noise: float = 0.25
    #: Probability that a rectangle of the face is hidden.
    erase: float = 0.4
    #: `auto` takes a GPU where there is one.
    accelerator: Accelerator = "auto"
    #: Of calculation; bf16-mixed takes half the time on a CPU that has it.
    precision: Precision = "32-true"
    #: Threads that calculate on the CPU.
    threads: Positive = 2
    #: Training faces that are taken; None: all.
    limit: Positive | None = None
    #: Install the encoder as `model/weights/face.safetensors`.
    ship: bool = False
