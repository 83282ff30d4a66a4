"""The written texts: seven emotions in every world, and nothing of what measures strangers."""

from collections import Counter

import pytest

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora.written import WRITTEN, files, load_written
from gscon_live.train.data.asr_noise import plain, words
from gscon_live.train.strangers.words import sentences

#: Texts that share so many consecutive words count as copies.
RUN = 5

corpora = pytest.mark.parametrize("name", [*WRITTEN])


def runs(text: str) -> set[tuple[str, ...]]:
    spoken = words(text)
    return {tuple(spoken[at : at + RUN]) for at in range(len(spoken) - RUN + 1)}


@corpora
def test_every_emotion_is_there_often_enough(name: str) -> None:
    table = load_written(name)
    for split, least in (("train", 250), ("validation", 15)):
        counts = Counter(turn.label for turns in table.utterances(split) for turn in turns)
        assert sorted(counts) == [*range(len(EMOTIONS))]
        assert min(counts.values()) > least


@corpora
def test_one_world_is_for_validation_and_the_others_for_training(name: str) -> None:
    assert "validation" in {path.stem for path in files(name)}
    table = load_written(name)
    assert len(table.splits["train"]) > 10 * len(table.splits["validation"])


def test_no_line_is_there_twice() -> None:
    table = load_written("written_lines")
    texts = [turn.text for split in table.splits for (turn,) in table.utterances(split)]
    assert max(Counter(map(plain, texts)).values()) == 1


@corpora
def test_nothing_is_a_near_copy_of_a_sentence_that_measures_strangers(name: str) -> None:
    measuring = [text for texts in sentences().values() for text in texts]
    known = {plain(text) for text in measuring}
    known_runs = {run for text in measuring for run in runs(text)}
    table = load_written(name)
    for split in table.splits:
        for turns in table.utterances(split):
            for turn in turns:
                assert plain(turn.text) not in known
                assert not runs(turn.text) & known_runs, turn.text
