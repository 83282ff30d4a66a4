"""The recipe of the face encoder."""

from typing import Annotated, Literal

import msgspec

from gscon_live.train.bounds import Below1, Positive
from gscon_live.train.corpora.labelled_faces import FaceCorpus
from gscon_live.train.engine.devices import Accelerator, Precision


class FaceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training of the face encoder. The defaults are those of `configs/train/face.yaml`."""

    kind: Literal["face"] = "face"
    #: Results go to `runs/<name>/`.
    name: str = "face"
    #: `ferplus`: FER2013's pictures as they were, with the votes of ten people for each; `fer2013`:
    #: the same pictures with equalised histograms, and FER2013's own labels.
    corpus: FaceCorpus = "ferplus"
    #: The recipe whose encoder is the starting point, by name or path; None: from scratch.
    start: str | None = "face-base"
    #: Seed of all random numbers.
    seed: int = 1
    #: Passes over the training faces.
    epochs: Positive = 16
    #: Faces in a step.
    batch: Positive = 256
    #: Peak learning rate of stochastic gradient descent, see `train.engine.schedule`.
    learning_rate: float = 0.05
    #: Nesterov momentum.
    momentum: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.9
    #: Weight decay, except on biases and normalisations.
    weight_decay: float = 5e-4
    #: Share of all steps with a rising learning rate (warm-up).
    warm_up: float = 0.08
    #: Label smoothing.
    label_smoothing: float = 0.0
    #: Dropout on the representation.
    dropout: float = 0.3
    #: Decay per step of the moving average of the weights, which is scored and kept; 0: none.
    average: Below1 = 0.997
    #: Maximum rotation in degrees.
    rotation: float = 15.0
    #: Maximum shift, as a share of the picture.
    shift: float = 0.1
    #: Maximum change of scale, as a share.
    scale: float = 0.2
    #: Probability of blur; a third of it: of low resolution.
    blur: float = 0.25
    #: Strength of gamma and of light from a side; 0: none.
    light: float = 0.4
    #: Probability of noise, as in bad light.
    noise: float = 0.25
    #: Probability that a rectangle of the face is hidden.
    erase: float = 0.4
    #: `auto` takes a GPU where available.
    accelerator: Accelerator = "auto"
    #: Numerical precision; bf16-mixed takes half the time on a CPU that supports it.
    precision: Precision = "32-true"
    #: Number of CPU threads.
    threads: Positive = 2
    #: Maximum number of training faces; None: all.
    limit: Positive | None = None
    #: Install the encoder as `model/weights/face.safetensors`.
    ship: bool = False
