"""The text encoder in context: it looks back only, and streaming is the same as all at once."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import (
    ContextEncoder,
    ContextSettings,
    digest,
    fresh,
    pack,
    tokeniser,
)
from gscon_live.model.encoders.text.sentence_encoder import default_directory, load_encoder

WINDOW = 3
LAYERS = 2

Dialogue = tuple[list[list[int]], list[int]]


#: Encoders of `transformers` by layout, tiny and untrained.
SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}
LAYOUTS = ("bert", "mpnet", "roberta")
layouts = pytest.mark.parametrize("layout", LAYOUTS)


def plain(layout: str) -> Any:
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(3)
    model = AutoModel.from_config(AutoConfig.for_model(layout, **SIZES))
    if layout == "mpnet":
        # So that the places in the row are not without weight.
        torch.nn.init.normal_(model.encoder.relative_attention_bias.weight)
    return model.eval()


def small(layout: str = "bert", window: int = WINDOW) -> ContextEncoder:
    model = ContextEncoder(plain(layout), ContextSettings(window=window, reach=2))
    # So that neither the bias nor the other utterances are without weight.
    torch.nn.init.normal_(model.bias)
    return model.eval().requires_grad_(False)


token_ids = st.lists(st.integers(1, 59), min_size=1, max_size=5)


@st.composite
def dialogues(draw: st.DrawFn, least: int = 1) -> Dialogue:
    utterances = draw(st.lists(token_ids, min_size=least, max_size=7))
    speakers = draw(st.lists(st.integers(0, 2), min_size=len(utterances), max_size=len(utterances)))
    return utterances, speakers


@layouts
@settings(max_examples=20, deadline=None)
@given(dialogues(least=2), st.data())
def test_nothing_that_comes_later_changes_an_utterance(
    layout: str, dialogue: Dialogue, data: st.DataObject
) -> None:
    utterances, speakers = dialogue
    cut = data.draw(st.integers(1, len(utterances) - 1))
    # The same number of tokens, so that the arithmetic is the same too.
    other = [[(token % 59) + 1 for token in row] for row in utterances[cut:]]
    model = small(layout)
    vectors = model(pack([(utterances, speakers)]))[0, :cut]
    changed = model(
        pack([([*utterances[:cut], *other], [*speakers[:cut], *speakers[cut:][::-1]])])
    )[0, :cut]
    assert torch.equal(vectors, changed)
    alone = model(pack([(utterances[:cut], speakers[:cut])]))[0]
    torch.testing.assert_close(vectors, alone, atol=1e-5, rtol=0)


@layouts
@settings(max_examples=20, deadline=None)
@given(dialogues())
def test_one_after_the_other_is_the_same_as_all_at_once(layout: str, dialogue: Dialogue) -> None:
    utterances, speakers = dialogue
    model = small(layout)
    past = model.start()
    vectors = model(pack([(utterances, speakers)]))[0]
    for place, ids in enumerate(utterances):
        vector, past = model.step(past, ids, speakers[place])
        torch.testing.assert_close(vector, vectors[place], atol=1e-5, rtol=0)
        assert len(past.lengths) <= WINDOW - 1
        assert len(past.keys[0]) == len(past.values[0]) == sum(past.lengths)


@layouts
@settings(max_examples=20, deadline=None)
@given(dialogues())
def test_half_of_the_memory_gives_nearly_the_same_vectors(layout: str, dialogue: Dialogue) -> None:
    utterances, speakers = dialogue
    vectors = small(layout)(pack([(utterances, speakers)]))[0]
    model = small(layout).to(torch.bfloat16)
    together = model(pack([(utterances, speakers)]))[0].float()
    assert (functional.cosine_similarity(together, vectors, dim=1) > 0.99).all()
    past = model.start()
    for place, ids in enumerate(utterances):
        vector, past = model.step(past, ids, speakers[place])
        assert vector.dtype == past.keys[0].dtype == torch.bfloat16
        assert functional.cosine_similarity(vector.float(), vectors[place], dim=0) > 0.99


@layouts
@settings(max_examples=20, deadline=None)
@given(dialogues())
def test_in_training_an_utterance_has_the_vector_that_it_has_in_use(
    layout: str, dialogue: Dialogue
) -> None:
    model = small(layout)
    in_use = model(pack([dialogue]))
    in_training = model.requires_grad_(True)(pack([dialogue]))
    assert in_training.requires_grad
    assert torch.allclose(in_training, in_use, atol=1e-5)


@layouts
@settings(max_examples=20, deadline=None)
@given(dialogues(), dialogues())
def test_other_rows_and_padding_change_nothing(
    layout: str, dialogue: Dialogue, other: Dialogue
) -> None:
    model = small(layout)
    alone = model(pack([dialogue]))[0]
    together = model(pack([other, dialogue]))[1, : len(dialogue[0])]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


@layouts
def test_what_lies_beyond_the_reach_of_all_layers_has_no_influence(layout: str) -> None:
    reach = LAYERS * (WINDOW - 1)
    utterances = [[place + 1, 7] for place in range(reach + 2)]
    other = [[40, 41], *utterances[1:]]
    speakers = [0] * len(utterances)
    first, second = (small(layout)(pack([(rows, speakers)]))[0] for rows in (utterances, other))
    torch.testing.assert_close(first[-1], second[-1], atol=1e-6, rtol=0)
    assert not torch.allclose(first[-2], second[-2], atol=1e-6, rtol=0)


@layouts
def test_speakers_are_told_apart_and_only_as_same_or_other(layout: str) -> None:
    utterances = [[1, 2], [3, 4], [5, 6]]
    original, renamed, merged = (
        small(layout)(pack([(utterances, speakers)]))
        for speakers in ([0, 1, 0], [5, 2, 5], [0] * 3)
    )
    assert torch.equal(original, renamed)
    assert not torch.allclose(original[0, 1], merged[0, 1], atol=1e-4)


def test_it_begins_as_the_sentence_encoder_on_first_utterances() -> None:
    tokenise, model = tokeniser(ContextSettings()), fresh(ContextSettings()).eval()
    text = "I can't believe you did that!"
    reader, original = load_encoder(default_directory())
    expected = original(**reader(text, return_tensors="pt")).last_hidden_state[0].mean(0)
    vector = model(pack([(tokenise([text]), [0])]))[0, 0]
    torch.testing.assert_close(vector, expected, atol=1e-4, rtol=0)


@layouts
def test_it_begins_as_the_encoder_of_any_layout_on_first_utterances(layout: str) -> None:
    original = plain(layout)
    ids = [2, 11, 48, 7, 30, 31, 32, 33, 34, 35, 36, 5]
    expected = original(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
    model = ContextEncoder(original, ContextSettings()).eval()
    vector = model(pack([([ids], [0])]))[0, 0]
    torch.testing.assert_close(vector, expected, atol=1e-5, rtol=0)


def test_another_architecture_is_refused_in_one_line() -> None:
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model("distilbert", dim=16, n_heads=2, n_layers=1, hidden_dim=32)
    with pytest.raises(InputError, match="'distilbert'; give one of bert, mpnet"):
        ContextEncoder(AutoModel.from_config(config), ContextSettings())


def test_the_digest_tells_weights_apart() -> None:
    encoder, same, other = small(), small(), small()
    assert digest(encoder) == digest(same)
    other.bias.data[0, 0, 0, 0] += 1e-3
    assert digest(other) != digest(encoder)


def test_a_window_of_one_sees_the_utterance_alone() -> None:
    model = small(window=1)
    utterances = [[1, 2], [3, 4]]
    in_conversation = model(pack([(utterances, [0, 1])]))[0, 1]
    torch.testing.assert_close(
        in_conversation, model(pack([([utterances[1]], [0])]))[0, 0], atol=1e-5, rtol=0
    )
    vector, past = model.step(model.start(), utterances[0], 0)
    vector, past = model.step(past, utterances[1], 1)
    torch.testing.assert_close(vector, in_conversation, atol=1e-5, rtol=0)
    assert past.lengths == ()


def test_cut_at_the_stated_number_of_tokens() -> None:
    tokenise = tokeniser(ContextSettings(tokens=8))
    assert len(tokenise(["word " * 50])[0]) == 8
