"""A training dialogue is read by an encoder that was not trained on it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gscon_live.train.corpora.schema import Dialogue, Table, Utterance
from gscon_live.train.encoders.text import text_data
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.text_data import folds

LABELS = ("neutral", "joy")


def dialogue(name: str, line: str) -> Dialogue:
    return Dialogue(name, (Utterance("A", line, 0),))


def table(name: str, lines: dict[str, list[str]]) -> Table:
    splits = {
        split: tuple(dialogue(f"{split} {place}", line) for place, line in enumerate(spoken))
        for split, spoken in lines.items()
    }
    return Table(name, LABELS, splits)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shared=st.lists(st.booleans(), min_size=2, max_size=14), parts=st.integers(2, 4))
def test_no_dialogue_is_read_by_an_encoder_that_learned_it(
    shared: list[bool], parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where some training dialogues are scenes that the other corpus holds out."""
    lines = [" ".join(f"{word}{place}" for word in "abcdef") for place in range(len(shared))]
    held_out = [line for line, known in zip(lines, shared, strict=True) if known]
    tables = {
        "meld": table("meld", {"train": lines, "validation": [], "test": []}),
        "emorynlp": table("emorynlp", {"train": [], "validation": held_out, "test": []}),
    }
    monkeypatch.setattr(text_data, "load_table", tables.__getitem__)
    recipe = TextRecipe(corpora=("meld", "emorynlp"), parts=parts, prosody=False)
    found = folds(recipe, "meld")
    assert len(found) == len(lines)
    for part in range(parts):
        without = TextRecipe(
            corpora=("meld", "emorynlp"), parts=parts, prosody=False, left_out=part + 1
        )
        _, train, _ = text_data._transcripts(without, "meld", 1)
        learned = {text for transcript in train for text in transcript.texts}
        read = {line for line, fold in zip(lines, found, strict=True) if fold == part}
        assert not learned & read
    everything = {text for t in text_data._transcripts(recipe, "meld", 1)[1] for text in t.texts}
    assert everything == set(lines) - set(held_out)
