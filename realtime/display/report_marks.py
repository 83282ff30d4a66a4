"""What stands out in a session: disagreement, low confidence, change, and what people corrected."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from gscon_live.model.labels import MODALITIES
from gscon_live.realtime.events.schema import Modality, UtteranceEvent

#: From this probability on, a modality counts as having an opinion.
_OPINION = 0.5
#: Below this confidence, an answer counts as unsure.
_SURE = 0.5

#: The kinds of marks: the sign on the timeline, the word for a filter, and how it is explained.
KINDS = {
    "disagree": ("≠", "disagreement", "words, voice and face are of different opinions"),
    "unsure": ("?", "unsure", "abstained, or confidence below 50 %"),
    "change": ("↕", "change", "another emotion than before, of the same speaker"),
    "corrected": ("✎", "corrected", "a person confirmed or corrected the label"),
}


class Mark(NamedTuple):
    """A reason to look at an utterance: its kind, one of `KINDS`, and what it is about."""

    kind: str
    text: str

    @property
    def sign(self) -> str:
        """The sign on the timeline."""
        return KINDS[self.kind][0]


def marks(utterances: Sequence[UtteranceEvent], names: dict[str, str]) -> list[list[Mark]]:
    """What stands out of each utterance, in the order of the utterances.

    Args:
        utterances: those of a session, in the order of time.
        names: the modalities as they are called on the page.
    """
    before: dict[str, str] = {}
    found_marks = []
    for event in utterances:
        emotion, speaker = event.emotion, event.utterance.speaker
        own = _disagreement(event, names)
        if emotion.model_label is not None:
            own.append(Mark("corrected", f"by a person; the model says {emotion.model_label}"))
        elif emotion.abstained or emotion.confidence < _SURE:
            own.append(Mark("unsure", f"confidence {emotion.confidence:.0%}"))
        if not emotion.abstained:
            last = before.get(speaker, emotion.label)
            if last != emotion.label:
                own.append(Mark("change", f"{speaker} from {last} to {emotion.label}"))
            before[speaker] = emotion.label
        found_marks.append(own)
    return found_marks


def _disagreement(event: UtteranceEvent, names: dict[str, str]) -> list[Mark]:
    opinions = {}
    for name in MODALITIES:
        modality: Modality = getattr(event.modalities, name)
        shares = modality.probabilities or {}
        if modality.present and shares:
            label = max(shares, key=lambda emotion: shares[emotion])
            if shares[label] >= _OPINION:
                opinions[names[name]] = label
    if any(first != second for first, second in combinations(opinions.values(), 2)):
        text = ", ".join(f"{name} {label}" for name, label in opinions.items())
        return [Mark("disagree", text)]
    return []
