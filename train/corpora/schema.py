"""Conversations of a corpus: speakers, words, prosody and emotion labels."""

from dataclasses import dataclass

#: Names of the prosodic features, in their order: seconds, dB, dB, Hz, Hz, Hz, syllables per
#: second, dB. They were measured with Praat as Wu et al. (SpeechCueLLM, 2024) describe.
PROSODY = (
    "duration",
    "avg_intensity",
    "intensity_variation",
    "avg_pitch",
    "pitch_std",
    "pitch_range",
    "articulation_rate",
    "mean_hnr",
)

#: Our names of the splits.
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Utterance:
    """An utterance; `label` is an index of the table's labels, `prosody` has the length of
    `PROSODY`, all finite, or is None where it was not measured. Its mean pitch is 0 where no sound
    was voiced, its articulation rate 0 where no syllable was detected."""

    speaker: str
    text: str
    label: int
    prosody: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Dialogue:
    """A conversation; utterances are in order."""

    name: str
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True)
class Table:
    """A corpus: its labels, and its dialogues by split (see `SPLITS`)."""

    name: str
    labels: tuple[str, ...]
    splits: dict[str, tuple[Dialogue, ...]]

    def utterances(self, split: str) -> list[tuple[Utterance, ...]]:
        """The utterances of each dialogue of a split."""
        return [dialogue.utterances for dialogue in self.splits[split]]
