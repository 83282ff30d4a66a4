"""The recipe of the voice encoder."""

from typing import Literal

import msgspec

from gscon_live.train.bounds import Above0, Positive, UpTo1


class VoiceRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The training of the voice encoder: a classifier on acoustic statistics relative to the
    speaker."""

    kind: Literal["voice"] = "voice"
    #: Results go to `runs/<name>/`.
    name: str = "voice"
    #: Seed of the orders in which utterances are spoken.
    seed: int = 1
    #: Number of utterances that the population's mean counts for in a speaker's baseline.
    weight: Above0 = 2.0
    #: Random orders of the utterances, for training; in every second one, moods are long.
    orders: Positive = 4
    #: Share of training utterances that are taken for a speaker's first.
    first: UpTo1 = 0.15
    #: Penalty of the squared weights, beside the sum of the losses of one order.
    penalty: Above0 = 100.0
    #: Install the encoder as `model/weights/voice.safetensors`.
    ship: bool = False
