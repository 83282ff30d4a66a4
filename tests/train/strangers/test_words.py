"""The sentences are kept apart from training, and marks change what they say they change."""

from collections import Counter

import pytest

from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import data_folder, goemotions
from gscon_live.train.corpora.iemocap_meld_emorynlp import TABLES, load_table
from gscon_live.train.data.asr_noise import plain
from gscon_live.train.strangers.words import MARKS, ending, sentences


def test_there_are_forty_sentences_of_each_emotion_and_sixty_facts() -> None:
    by_kind = sentences()
    assert {kind: len(texts) for kind, texts in by_kind.items()} == {
        **dict.fromkeys(EMOTIONS, 40),
        "facts": 60,
    }
    counts = Counter(plain(text) for texts in by_kind.values() for text in texts)
    assert max(counts.values()) == 1


@pytest.mark.skipif(not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA")
def test_no_sentence_is_in_a_corpus_of_the_training() -> None:
    known = {
        plain(utterance.text)
        for name in TABLES
        for dialogues in load_table(name).splits.values()
        for dialogue in dialogues
        for utterance in dialogue.utterances
    }
    for split in goemotions.load().values():
        known |= {plain(sentence.text) for sentence in split}
    for texts in sentences().values():
        assert not known & {plain(text) for text in texts}


def test_a_mark_replaces_what_stood_at_the_end() -> None:
    assert ending("!")("Are you there?") == "Are you there!"
    assert ending(".")("Oh no ...") == "Oh no."
    assert ending("!")("...") == "...!"
    assert MARKS["without marks and case"]("It's Tom!") == "it's tom"
