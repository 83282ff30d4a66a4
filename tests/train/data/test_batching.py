"""What a network is shown: every utterance that has a label, once, in its own context."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_corpus import corpus

from gscon_live.model.conversations import windows
from gscon_live.train.corpora.dataset import batch
from gscon_live.train.data.batching import Dialogues, Windows, ordered, shuffled, source

SPLIT = corpus(4).splits["train"]
LABELLED = sum(int((one.labels >= 0).sum()) for one in SPLIT)


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=80),
    size=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_an_epoch_has_everything_once(lengths: list[int], size: int, seed: int) -> None:
    given_lengths = torch.tensor(lengths)
    random = torch.Generator().manual_seed(seed)
    for made in (shuffled(given_lengths, size, random), ordered(given_lengths, size)):
        assert sorted(row for rows in made for row in rows) == list(range(len(lengths)))
        assert len(made) == -(-len(lengths) // size)
        assert max(map(len, made)) <= size


@given(seed=st.integers(0, 99))
def test_alike_lengths_come_together_in_another_order_each_time(seed: int) -> None:
    lengths = torch.arange(1, 65)
    random = torch.Generator().manual_seed(seed)
    first, second = (shuffled(lengths, 8, random) for _ in range(2))
    assert first != second
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in first)
    assert padded == sum(8 * longest for longest in range(8, 65, 8))


def test_dialogues_are_those_of_the_split() -> None:
    whole = Dialogues(SPLIT)
    assert whole.lengths.tolist() == [len(one.labels) for one in SPLIT]
    taken = whole.take([3, 1])
    wanted, labels = batch([SPLIT[3], SPLIT[1]])
    assert not taken.last
    assert torch.equal(taken.labels, labels)
    assert torch.equal(taken.conversations.present, wanted.present)
    assert all(torch.equal(taken.conversations.features[m], x) for m, x in wanted.features.items())


@settings(max_examples=15, deadline=None)
@given(context=st.integers(1, 9))
def test_windows_are_those_of_the_network_and_end_with_a_label(context: int) -> None:
    """The same as when the features themselves are moved through the dialogue."""
    made = Windows(SPLIT, context)
    assert made.lengths.tolist() == [context] * LABELLED
    taken = made.take(range(LABELLED))
    assert taken.last
    start = 0
    for one in SPLIT:
        whole, labels = batch([one])
        wanted = windows(whole, context).map_tensors(lambda x, keep=labels[0] >= 0: x[keep])
        end = start + len(wanted.valid)
        here = taken.conversations.map_tensors(lambda x, start=start, end=end: x[start:end])
        assert torch.equal(here.valid, wanted.valid)
        assert torch.equal(here.speakers, wanted.speakers)
        assert torch.equal(here.present & here.valid[..., None], wanted.present)
        for m, x in wanted.features.items():
            assert torch.equal(here.features[m][here.valid], x[wanted.valid])
        assert torch.equal(taken.labels[start:end, 0], labels[0][labels[0] >= 0])
        start = end
    assert start == LABELLED


@settings(max_examples=20, deadline=None)
@given(
    mode=st.sampled_from(["full", "buffer"]),
    rows=st.lists(st.integers(0, len(SPLIT) - 1), min_size=1, unique=True),
    share=st.sampled_from([0.0, 0.5]),
    parts=st.integers(1, 4),
)
def test_soft_labels_go_where_their_labels_go(
    mode: str, rows: list[int], share: float, parts: int
) -> None:
    marked = [
        replace(one, soft=torch.stack([one.labels, 10 + one.labels], 1).float()) for one in SPLIT
    ]
    whole = source(marked, mode, 3).take(rows)
    made = whole.and_alone(share, torch.Generator().manual_seed(1)).split(parts)
    for targets in (one.targets for one in [whole, *made]):
        assert targets.soft is not None
        assert torch.equal(targets.soft[:, 0], targets.labels.float())
        assert torch.equal(targets.soft[:, 1], 10 + targets.labels.float())


@settings(max_examples=20, deadline=None)
@given(
    parts=st.integers(1, 9),
    mode=st.sampled_from(["full", "buffer"]),
    rows=st.lists(st.integers(0, len(SPLIT) - 1), min_size=1, unique=True),
)
def test_a_batch_in_parts_is_the_same_utterances(parts: int, mode: str, rows: list[int]) -> None:
    whole = source(SPLIT, mode, 3).take(rows)
    made = whole.split(parts)
    assert len(made) == min(parts, len(rows))
    assert all(one.last == whole.last for one in made)
    for name in ("labels", "present"):
        pieces = torch.cat([getattr(one.targets, name) for one in made])
        assert torch.equal(pieces, getattr(whole.targets, name))
    for m, x in whole.conversations.features.items():
        pieces = torch.cat([one.conversations.features[m][one.conversations.valid] for one in made])
        assert torch.equal(pieces, x[whole.conversations.valid])
    for one in made:
        if not one.last:
            assert one.conversations.valid.any(0).all()


@pytest.mark.parametrize(("rows", "share"), [([0], 0.5), ([0, 1, 2], 0.25), ([0, 1], 1.0)])
def test_as_many_come_once_more_on_average_as_the_share_says(rows: list[int], share: float) -> None:
    whole, random = source(SPLIT, "causal", 1).take(rows), torch.Generator().manual_seed(1)
    more = [len(whole.and_alone(share, random).labels) - len(rows) for _ in range(400)]
    assert sum(more) / len(more) == pytest.approx(share * len(rows), abs=0.1)


@settings(max_examples=30, deadline=None)
@given(
    share=st.floats(0, 1), context=st.sampled_from([None, 3]), seed=st.integers(0, 99),
    rows=st.sets(st.integers(0, 7), min_size=1),
)  # fmt: skip
def test_some_come_once_more_with_one_modality_alone(
    share: float, context: int | None, rows: set[int], seed: int
) -> None:
    whole = source(SPLIT, "buffer" if context else "causal", context or 1).take(sorted(rows))
    made = whole.and_alone(share, torch.Generator().manual_seed(seed))
    count = len(whole.labels)
    assert abs(len(made.labels) - count - share * count) < 1
    first = made.conversations.map_tensors(lambda x: x[:count])
    assert torch.equal(first.present, whole.conversations.present)
    assert torch.equal(first.features["text"], whole.conversations.features["text"])
    assert torch.equal(made.labels[:count], whole.labels)
    again: list[int] = []
    for place in range(count, len(made.labels)):
        one = made.conversations.map_tensors(lambda x, place=place: x[place])
        same = [
            row
            for row in range(count)
            if torch.equal(one.features["text"], whole.conversations.features["text"][row])
        ]
        (row,) = same
        again.append(row)
        assert torch.equal(made.labels[place], whole.labels[row])
        before = whole.conversations.present[row]
        alone = [m for m in range(3) if torch.equal(one.present[:, m], before[:, m])]
        assert any(not one.present[:, [m for m in range(3) if m != kept]].any() for kept in alone)
    assert len(set(again)) == len(again)
