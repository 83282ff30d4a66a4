"""The text encoder in context: it looks back only, and streaming is the same as all at once."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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


def small(window: int = WINDOW) -> ContextEncoder:
    from transformers import BertConfig, BertModel

    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=60,
        hidden_size=16,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
    )
    model = ContextEncoder(BertModel(config), ContextSettings(window=window, reach=2))
    # So that neither the bias nor the other utterances are without weight.
    torch.nn.init.normal_(model.bias)
    return model.eval().requires_grad_(False)


utterances = st.lists(st.integers(1, 59), min_size=1, max_size=5)


@st.composite
def dialogues(draw: st.DrawFn, least: int = 1) -> Dialogue:
    said = draw(st.lists(utterances, min_size=least, max_size=7))
    who = draw(st.lists(st.integers(0, 2), min_size=len(said), max_size=len(said)))
    return said, who


@settings(max_examples=30, deadline=None)
@given(dialogues(least=2), st.data())
def test_nothing_that_comes_later_changes_an_utterance(one: Dialogue, data: st.DataObject) -> None:
    said, who = one
    cut = data.draw(st.integers(1, len(said) - 1))
    # The same number of tokens, so that the arithmetic is the same too.
    other = [[(token % 59) + 1 for token in row] for row in said[cut:]]
    whole = small()(pack([(said, who)]))[0, :cut]
    changed = small()(pack([([*said[:cut], *other], [*who[:cut], *who[cut:][::-1]])]))[0, :cut]
    assert torch.equal(whole, changed)
    alone = small()(pack([(said[:cut], who[:cut])]))[0]
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(dialogues())
def test_one_after_the_other_is_the_same_as_all_at_once(one: Dialogue) -> None:
    said, who = one
    model, past = small(), small().start()
    whole = model(pack([(said, who)]))[0]
    for place, ids in enumerate(said):
        vector, past = model.step(past, ids, who[place])
        torch.testing.assert_close(vector, whole[place], atol=1e-5, rtol=0)
        assert len(past.lengths) <= WINDOW - 1
        assert past.keys[0].shape[1] == sum(past.lengths)


@settings(max_examples=30, deadline=None)
@given(dialogues(), dialogues())
def test_other_rows_and_padding_change_nothing(one: Dialogue, other: Dialogue) -> None:
    model = small()
    alone = model(pack([one]))[0]
    together = model(pack([other, one]))[1, : len(one[0])]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=0)


def test_what_lies_beyond_the_reach_of_all_layers_has_no_influence() -> None:
    reach = LAYERS * (WINDOW - 1)
    said = [[place + 1, 7] for place in range(reach + 2)]
    other = [[40, 41], *said[1:]]
    who = [0] * len(said)
    first, second = (small()(pack([(rows, who)]))[0] for rows in (said, other))
    torch.testing.assert_close(first[-1], second[-1], atol=1e-6, rtol=0)
    assert not torch.allclose(first[-2], second[-2], atol=1e-6, rtol=0)


def test_speakers_are_told_apart_and_only_as_same_or_other() -> None:
    said = [[1, 2], [3, 4], [5, 6]]
    one, renamed, merged = (small()(pack([(said, who)])) for who in ([0, 1, 0], [5, 2, 5], [0] * 3))
    assert torch.equal(one, renamed)
    assert not torch.allclose(one[0, 1], merged[0, 1], atol=1e-4)


def test_it_begins_as_the_sentence_encoder_on_first_utterances() -> None:
    tokenise, model = tokeniser(ContextSettings()), fresh(ContextSettings()).eval()
    text = "I can't believe you did that!"
    reader, plain = load_encoder(default_directory())
    expected = plain(**reader(text, return_tensors="pt")).last_hidden_state[0].mean(0)
    found = model(pack([(tokenise([text]), [0])]))[0, 0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_digest_tells_weights_apart() -> None:
    one, same, other = small(), small(), small()
    assert digest(one) == digest(same)
    other.bias.data[0, 0, 0, 0] += 1e-3
    assert digest(other) != digest(one)


def test_a_window_of_one_sees_the_utterance_alone() -> None:
    model = small(window=1)
    said = [[1, 2], [3, 4]]
    both = model(pack([(said, [0, 1])]))[0, 1]
    torch.testing.assert_close(both, model(pack([([said[1]], [0])]))[0, 0], atol=1e-5, rtol=0)
    vector, past = model.step(model.start(), said[0], 0)
    vector, past = model.step(past, said[1], 1)
    torch.testing.assert_close(vector, both, atol=1e-5, rtol=0)
    assert past.lengths == ()


def test_cut_at_the_stated_number_of_tokens() -> None:
    tokenise = tokeniser(ContextSettings(tokens=8))
    assert len(tokenise(["word " * 50])[0]) == 8
