"""MELD: the words, speakers and emotions of dialogues."""

from dataclasses import dataclass

from gscon_live.train.corpora import erc


@dataclass(frozen=True)
class Turn:
    """An utterance of a dialogue; `emotion` is an index of `EMOTIONS`."""

    speaker: str
    text: str
    emotion: int


def load(split: str) -> list[list[Turn]]:
    """The dialogues of one official split ("train", "validation" or "test"), in file order.

    Raises:
        InputError: as `erc.load`.
    """
    return [
        [
            Turn(utterance.speaker, utterance.text, utterance.label)
            for utterance in dialogue.utterances
        ]
        for dialogue in erc.load("meld").splits[split]
    ]
