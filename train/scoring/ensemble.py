"""All seeds of a run together: an ensemble."""

from collections.abc import Sequence

import numpy as np

from gscon_live.train.corpora.dataset import FeaturedCorpus
from gscon_live.train.scoring.calibration import fit_temperature
from gscon_live.train.scoring.measure import (
    SPLITS,
    Measurement,
    Measurements,
    labelled,
    measurement,
)

#: Keeps the logarithm of a probability of 0 finite.
_LEAST = 1e-12


def together(
    seeds: Sequence[Measurements], corpus: FeaturedCorpus, subset: str, same_validation: bool = True
) -> dict[str, Measurement]:
    """The measurement of the mean of the seeds' probabilities, as trained, by split.

    A mean is less sure than its parts, so a temperature is fitted to it on validation, too. Where
    each seed was validated by other dialogues, no dialogue is new to all of them: there is test
    alone, without another temperature.

    Args:
        seeds: what was measured of each seed.
        corpus: has the labels.
        subset: the name of a set of modalities.
        same_validation: whether all seeds have the validation split of `corpus`.
    """
    splits = SPLITS if same_validation else ("test",)
    logits = {
        split: [
            np.log(np.mean(dialogue, axis=0) + _LEAST).astype(np.float32)
            for dialogue in zip(
                *(seed[split]["as_trained"][subset].probabilities for seed in seeds), strict=True
            )
        ]
        for split in splits
    }
    temperature = 1.0
    if same_validation:
        temperature = fit_temperature(*labelled(logits["validation"], corpus.splits["validation"]))
    return {
        split: measurement(logits[split], corpus.splits[split], temperature, corpus.labels)
        for split in splits
    }
