"""The utterances of voices that networks learn from, by encoders that never heard their corpus."""

from collections.abc import Sequence

import numpy as np

from gscon_live.train.corpora.voice_corpora import split_of
from gscon_live.train.data.feature_banks import Bank
from gscon_live.train.encoders.voice.left_out import LeftOutVoices, Order

#: The versions of an utterance: after others of its speaker, in random order or in long moods; and
#: as the speaker's first.
VERSIONS: tuple[Order, ...] = ("drawn", "moods", "first")


def voice_bank(corpora: Sequence[str], left_out: LeftOutVoices, split: str) -> Bank:
    """The utterances of a split's speakers in `VERSIONS`.

    Args:
        corpora: names of `VOICE_CORPORA`.
        left_out: their encoders.
        split: "train", "validation" or "test".
    """
    vectors, emotions, owners = [], [], []
    for name in corpora:
        spoken = left_out.sets[name]
        chosen = np.array([split_of(str(speaker)) == split for speaker in spoken.speakers])
        versions = [left_out.vectors(name, order) for order in VERSIONS]
        vectors.append(np.stack(versions, 1)[chosen])
        emotions.append(spoken.emotions[chosen])
        owners.append(spoken.speakers[chosen])
    return Bank(np.concatenate(vectors), np.concatenate(emotions), np.concatenate(owners))
