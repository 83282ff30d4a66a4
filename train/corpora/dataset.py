"""A corpus as networks read it: features, speakers and labels of every dialogue."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import Conversations


@dataclass(frozen=True)
class FeaturedDialogue:
    """One dialogue of N utterances.

    `features[m]` float32 [N, dim of m]; `present` bool [N, modalities], in the corpus' order;
    `speakers` int64 [N], numbered from 0 in order of appearance; `labels` int64 [N], -1 where an
    utterance has none. `soft` float32 [N, C] are soft labels that replace the labels in training;
    None: the labels are used. Either all dialogues of a split have them, or none.
    """

    name: str
    features: dict[str, Tensor]
    present: Tensor
    speakers: Tensor
    labels: Tensor
    soft: Tensor | None = None

    def with_text(self, rows: Tensor) -> "FeaturedDialogue":
        """A copy with other text features [N, ...]."""
        return replace(self, features={**self.features, "text": rows})


@dataclass(frozen=True)
class FeaturedCorpus:
    """A corpus: `encoders` are the identities of the feature encoders, by modality, in the order of
    `model.labels.MODALITIES`; `splits` has `train`, `validation` and `test`. `direct` is the number
    of text features, at the end of the vector, that only a direct head reads.

    A training uses `epoch`, `training_features` and `label_counts`.
    """

    name: str
    labels: tuple[str, ...]
    encoders: dict[str, str]
    splits: dict[str, tuple[FeaturedDialogue, ...]]
    direct: int = field(default=0, kw_only=True)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of the corpus."""
        return tuple(self.encoders)

    @property
    def dims(self) -> dict[str, int]:
        """Lengths of the feature vectors, by modality."""
        first = self.splits["train"][0]
        return {m: first.features[m].shape[1] for m in self.modalities}

    @property
    def label_counts(self) -> Tensor:
        """The number of training utterances of each label, int64 [C]."""
        labels = torch.cat([dialogue.labels for dialogue in self.splits["train"]])
        return torch.bincount(labels[labels >= 0], minlength=len(self.labels))

    def training_features(self, modality: str) -> Tensor:
        """A modality's features in training, where present, [n, dim]."""
        place = self.modalities.index(modality)
        return torch.cat(
            [
                dialogue.features[modality][dialogue.present[:, place]]
                for dialogue in self.splits["train"]
            ]
        )

    def epoch(self, random: torch.Generator) -> tuple[FeaturedDialogue, ...]:
        """The training dialogues of an epoch: always the same here; draws no random number."""
        return self.splits["train"]


def restricted(corpus: FeaturedCorpus, modalities: Sequence[str]) -> FeaturedCorpus:
    """The corpus with some of its modalities only.

    Raises:
        InputError: the corpus lacks one of them, or none is given.
    """
    lacking = [m for m in modalities if m not in corpus.modalities]
    if lacking or not modalities:
        raise InputError(
            f"modalities {', '.join(modalities) or 'none'}: corpus {corpus.name} has "
            f"{', '.join(corpus.modalities)}; give some of these"
        )
    remaining = [m for m in corpus.modalities if m in modalities]
    places = [corpus.modalities.index(m) for m in remaining]

    def restricted_dialogue(dialogue: FeaturedDialogue) -> FeaturedDialogue:
        features = {m: dialogue.features[m] for m in remaining}
        return replace(dialogue, features=features, present=dialogue.present[:, places])

    return replace(
        corpus,
        encoders={m: corpus.encoders[m] for m in remaining},
        splits={
            name: tuple(map(restricted_dialogue, rows)) for name, rows in corpus.splits.items()
        },
    )


def batch(dialogues: Sequence[FeaturedDialogue]) -> tuple[Conversations, Tensor]:
    """A batch of dialogues, padded at the end, and their labels [B, N] (-1 on padding)."""

    def padded(rows: Sequence[Tensor], value: float = 0) -> Tensor:
        return pad_sequence(list(rows), batch_first=True, padding_value=value)

    conversations = Conversations(
        features={
            m: padded([dialogue.features[m] for dialogue in dialogues])
            for m in dialogues[0].features
        },
        present=padded([dialogue.present for dialogue in dialogues]),
        speakers=padded([dialogue.speakers for dialogue in dialogues]),
        valid=padded(
            [torch.ones(len(dialogue.labels), dtype=torch.bool) for dialogue in dialogues]
        ),
    )
    return conversations, padded([dialogue.labels for dialogue in dialogues], -1)
