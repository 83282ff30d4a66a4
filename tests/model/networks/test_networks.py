"""What every network promises: answers from the conversation's past alone, as it goes on too."""

import dataclasses
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_conversations import (
    DIMS,
    conversations,
    everything,
    padded,
    places,
    row,
    with_features,
)
from torch import Tensor

from gscon_live.common.errors import InputError
from gscon_live.model.labels import MODALITIES
from gscon_live.model.networks.network import (
    NETWORKS,
    Architecture,
    Conversations,
    Mode,
    Network,
    build,
    by_appearance,
    network_class,
    windows,
)

MODES: tuple[Mode, ...] = ("full", "causal", "buffer")
SUBSETS = [chosen for size in (1, 2, 3) for chosen in combinations(MODALITIES, size)]
#: With the modalities' encoder after a colon, where it is not the paper's; a direct head, or the
#: text encoder's own answers in its place; and a shared encoder beside networks that have none.
EVERY = [
    *NETWORKS, "gscon:recurrent", "ada2i:recurrent", "gscon:recurrent+direct",
    "dialogue_rnn+direct", "dmd+direct", "cmath+projector", "dialogue_rnn+direct+projector",
    "gscon:recurrent+own", "dmd+own",
]  # fmt: skip
every_network = pytest.mark.parametrize("name", EVERY)
every_mode = pytest.mark.parametrize("mode", MODES)
past_only = pytest.mark.parametrize("mode", ["causal", "buffer"])
quick = settings(max_examples=6, deadline=None)
EXACT = {"atol": 1e-9, "rtol": 1e-9}


def network(
    name: str,
    mode: Mode,
    dtype: torch.dtype = torch.float32,
    modalities: tuple[str, ...] = MODALITIES,
    **sizes: int,
) -> Network:
    torch.manual_seed(3)
    chosen: dict[str, Any] = {"width": 8, "heads": 2, "layers": 2, "reach": 3, "speakers": 3}
    chosen |= {"memory": 4, "context": 4, **sizes}
    dims = {m: DIMS[m] for m in modalities}
    network, *beside = name.split("+")
    kind, _, encoder = network.partition(":")
    chosen |= {"encoder": encoder or "transformer", "projector": "projector" in beside}
    if network_class(kind).READS_EXPERTS:
        # As many emotions as the shortest features have log-probabilities.
        chosen |= {"classes": min(DIMS.values())}
    if "direct" in beside and "text" in modalities:
        chosen |= {"direct": 2}
    if "own" in beside and "text" in modalities:
        chosen |= {"direct": 4, "own_answers": True, "classes": 2}
    model = build(Architecture(dims, mode=mode, network=kind, **chosen))
    with torch.no_grad():
        for parameter in model.parameters():
            # Away from the initial zeros, so that every parameter takes part.
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.to(dtype).eval()


with_context = pytest.mark.parametrize(
    "name", [name for name in EVERY if network(name, "causal").receptive_field != 1]
)


def streamed(model: Network, batch: Conversations, context: int | None = None) -> Tensor:
    """The answers to one conversation, utterance by utterance."""
    state, answers = model.start(context), []
    for index in range(batch.valid.shape[1]):
        answer, state = model.step(state, places(batch, slice(index, index + 1)))
        answers.append(everything(answer))
    return torch.cat(answers, 1)


def changed(batch: Conversations, index: int) -> Conversations:
    """Another utterance at one place."""
    here = torch.arange(batch.valid.shape[1]) == index
    return dataclasses.replace(
        batch,
        features={m: x + 3 * here[:, None] for m, x in batch.features.items()},
        present=batch.present | here[:, None],
    )


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in a state."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from (x for item in value.values() for x in tensors(item))
    elif isinstance(value, tuple):
        yield from (x for item in value for x in tensors(item))
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from tensors(getattr(value, field.name))


@every_network
@every_mode
@quick
@given(count=st.integers(1, 9), before=st.integers(0, 7), after=st.integers(0, 7))
def test_padding_and_batch_mates_change_nothing(
    name: str, mode: Mode, count: int, before: int, after: int
) -> None:
    model = network(name, mode, torch.float64)
    batch = conversations(3, count, dtype=torch.float64)
    together = everything(model(padded(batch, before, after)))[:, before : before + count]
    for index in range(3):
        alone = everything(model(row(batch, index)))
        torch.testing.assert_close(together[index : index + 1], alone, **EXACT)


@every_network
@past_only
@quick
@given(count=st.integers(2, 20), place=st.integers(0, 18), seed=st.integers(0, 5))
def test_the_future_changes_nothing_bit_for_bit(
    name: str, mode: Mode, count: int, place: int, seed: int
) -> None:
    model, place = network(name, mode), min(place, count - 2)
    one, other = conversations(2, count, seed), conversations(2, count, seed + 100)
    past = torch.arange(count) <= place

    def joined(x: Tensor, y: Tensor) -> Tensor:
        return torch.where(past.view(1, -1, *[1] * (x.dim() - 2)), x, y)

    mixed = Conversations(
        {m: joined(x, 50 * other.features[m]) for m, x in one.features.items()},
        joined(one.present, other.present),
        joined(one.speakers, other.speakers),
        one.valid,
    )
    before, after = model(one), model(mixed)
    assert torch.equal(everything(before)[:, : place + 1], everything(after)[:, : place + 1])


@every_network
@quick
@given(count=st.integers(1, 25), memory=st.integers(1, 9), seed=st.integers(0, 5))
def test_a_causal_stream_gives_the_answers_of_the_whole(
    name: str, count: int, memory: int, seed: int
) -> None:
    model = network(name, "causal", torch.float64, memory=memory)
    batch = conversations(1, count, seed, dtype=torch.float64)
    torch.testing.assert_close(streamed(model, batch), everything(model(batch)), **EXACT)


@every_network
@past_only
@quick
@given(count=st.integers(1, 12), context=st.integers(1, 6), seed=st.integers(0, 5))
def test_a_stream_of_windows_gives_the_answers_of_the_windows(
    name: str, mode: Mode, count: int, context: int, seed: int
) -> None:
    model = network(name, mode, torch.float64, context=context)
    batch = conversations(1, count, seed, dtype=torch.float64)
    asked = context if mode == "causal" else None
    expected = everything(model(windows(batch, context), last=True)).transpose(0, 1)
    torch.testing.assert_close(streamed(model, batch, asked), expected, **EXACT)


@every_network
@past_only
@quick
@given(count=st.integers(1, 20), before=st.integers(0, 5))
def test_asking_for_the_last_answer_alone_gives_the_same_one(
    name: str, mode: Mode, count: int, before: int
) -> None:
    model = network(name, mode, torch.float64)
    batch = padded(conversations(2, count, dtype=torch.float64), before, 0)
    whole, last = model(batch), model(batch, last=True)
    for one, other in zip(tensors(whole), tensors(last), strict=True):
        torch.testing.assert_close(one[:, -1:], other, **EXACT)


@every_network
@past_only
def test_the_receptive_field_is_what_it_is_said_to_be(name: str, mode: Mode) -> None:
    """The oldest utterance in it counts, and the one before does not, bit for bit."""
    model, count = network(name, mode, torch.float64), 30
    batch = conversations(1, count, missing=0.0, dtype=torch.float64)
    field = model.receptive_field

    def difference(index: int) -> float:
        both = [streamed(model, x)[:, -1] for x in (batch, changed(batch, index))]
        return float((both[0] - both[1]).abs().max())

    assert difference(count - (field or count)) > 0
    if field is not None:
        assert field < count
        assert difference(count - field - 1) == 0


@every_network
@past_only
def test_what_is_remembered_does_not_grow(name: str, mode: Mode) -> None:
    model, batch = network(name, mode), conversations(1, 40)
    state, sizes = model.start(), []
    for index in range(40):
        turn = places(batch, slice(index, index + 1))
        # Somebody new each time.
        turn = dataclasses.replace(turn, speakers=torch.full_like(turn.speakers, index))
        _, state = model.step(state, turn)
        sizes.append(sum(x.untyped_storage().nbytes() for x in tensors(state)))
    assert len(set(sizes[10:])) == 1
    assert not any(x.requires_grad for x in tensors(state))


@every_network
@past_only
def test_an_answer_may_be_asked_for_without_consequence(name: str, mode: Mode) -> None:
    model, batch = network(name, mode), conversations(1, 12)
    expected = streamed(model, batch)
    state = model.start()
    for index in range(12):
        for other in ((index + 1) % 12, (index + 5) % 12):
            model.step(state, places(batch, slice(other, other + 1)))
        answers, state = model.step(state, places(batch, slice(index, index + 1)))
        assert torch.equal(everything(answers), expected[:, index : index + 1])


@every_network
@past_only
def test_speakers_may_be_numbered_in_any_way_as_a_conversation_goes_on(
    name: str, mode: Mode
) -> None:
    model, batch = network(name, mode), conversations(1, 12)
    renamed = dataclasses.replace(batch, speakers=(batch.speakers * 7919 + 13) % 1000)
    assert len(renamed.speakers.unique()) == len(batch.speakers.unique())
    assert torch.equal(streamed(model, batch), streamed(model, renamed))


@every_network
@every_mode
def test_a_network_may_have_any_modalities(name: str, mode: Mode) -> None:
    for chosen in SUBSETS:
        model = network(name, mode, modalities=chosen)
        answers, classes = model(conversations(2, 5, modalities=chosen)), model.architecture.classes
        width = classes if model.READS_EXPERTS else 8
        assert answers.final.shape == (2, 5, classes)
        assert list(answers.specific) == list(answers.encoded) == list(chosen)
        assert all(values.shape == (2, 5, classes) for values in answers.specific.values())
        assert all(values.shape == (2, 5, width) for values in answers.encoded.values())


@every_network
@every_mode
@pytest.mark.parametrize("gone", [(0,), (1,), (2,), (0, 1, 2)])
def test_what_is_missing_is_not_read(name: str, mode: Mode, gone: tuple[int, ...]) -> None:
    """Neither in the answers nor in the gradients, even where it is not a number."""
    model, batch = network(name, mode), conversations(1, 1 + len(gone), missing=0.0)
    batch.present[..., list(gone)] = False
    rubbish = {MODALITIES[i]: torch.full((1, 1 + len(gone), n), torch.nan)
               for i, n in enumerate(DIMS.values()) if i in gone}  # fmt: skip
    answers = everything(model(with_features(batch, **rubbish)))
    assert answers.isfinite().all()
    assert torch.equal(answers, everything(model(batch)))
    torch.autograd.backward(answers.sum())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("product")])
def test_missing_is_not_the_same_as_zero(name: str) -> None:
    """But for the product of experts: an expert that finds all emotions alike says nothing."""
    model, batch = network(name, "buffer"), conversations(1, 4, missing=0.0)
    zero = with_features(batch, **{m: torch.zeros_like(x) for m, x in batch.features.items()})
    gone = dataclasses.replace(zero, present=torch.zeros_like(batch.present))
    assert (everything(model(zero)) - everything(model(gone))).abs().max() > 1e-3


@every_network
@every_mode
def test_one_utterance_alone_has_an_answer(name: str, mode: Mode) -> None:
    model = network(name, mode)
    answers = model(conversations(1, 1))
    assert answers.final.shape == (1, 1, model.architecture.classes)
    assert everything(answers).isfinite().all()


@every_network
@every_mode
def test_each_modality_counts(name: str, mode: Mode) -> None:
    model, batch = network(name, mode), conversations(1, 5, missing=0.0)
    answers = model(batch).final[:, -1]
    for m in MODALITIES:
        moved = with_features(batch, **{m: batch.features[m] + torch.arange(DIMS[m])})
        assert (model(moved).final[:, -1] - answers).abs().max() > 1e-4


@with_context
@every_mode
def test_the_past_and_the_speakers_count(name: str, mode: Mode) -> None:
    model, batch = network(name, mode), conversations(1, 5, missing=0.0)
    answers = model(batch).final[:, -1]
    assert (model(places(batch, slice(1, None))).final[:, -1] - answers).abs().max() > 1e-4
    single_speaker = dataclasses.replace(batch, speakers=torch.zeros_like(batch.speakers))
    assert (model(single_speaker).final[:, -1] - answers).abs().max() > 1e-4


@with_context
def test_in_full_mode_the_future_does_count(name: str) -> None:
    model, batch = network(name, "full"), conversations(1, 8)
    prefix = everything(model(places(batch, slice(4))))
    assert (everything(model(batch))[:, :4] - prefix).abs().max() > 1e-3


@every_mode
def test_the_multilayer_perceptron_sees_no_context(mode: Mode) -> None:
    model, batch = network("mlp", mode, torch.float64), conversations(1, 6, dtype=torch.float64)
    whole = everything(model(batch))
    for index in range(6):
        alone = everything(model(places(batch, slice(index, index + 1))))
        torch.testing.assert_close(whole[:, index : index + 1], alone, **EXACT)


@pytest.mark.parametrize("name", ["gscon:recurrent+direct", "dialogue_rnn+direct"])
@every_mode
def test_the_answer_is_the_mean_of_the_network_and_of_the_direct_head_on_its_own_features(
    name: str, mode: Mode
) -> None:
    model, batch = network(name, mode, dropout=0), conversations(2, 6)
    own = model.train()(batch).final.softmax(-1)
    outputs, words = model.eval()(batch), batch.present[..., :1]
    assert outputs.direct is not None
    mean = (own + outputs.direct.softmax(-1)) / 2
    torch.testing.assert_close(outputs.final.softmax(-1), mean.where(words, own))
    text = batch.features["text"].clone()
    text[..., model.architecture.read["text"] :] += 1
    other = model(with_features(batch, text=text))
    assert torch.equal(outputs.specific["text"], other.specific["text"])
    assert not torch.equal(outputs.direct, other.direct)


@pytest.mark.parametrize("modalities", [MODALITIES, ("text", "visual")])
@every_mode
def test_the_answer_is_the_mean_of_the_network_and_of_the_text_encoders_own_answer(
    mode: Mode, modalities: tuple[str, ...]
) -> None:
    model = network("gscon:recurrent+own", mode, dropout=0, modalities=modalities)
    batch = conversations(2, 6, modalities=modalities)
    voiced, words = batch.features["text"][..., -4:].chunk(2, -1)
    heard = batch.present[..., modalities.index("audio"), None] if "audio" in modalities else False
    given_answers = torch.where(torch.as_tensor(heard), voiced, words).softmax(-1)
    network_answers = model.train()(batch).final.softmax(-1)
    expected = (network_answers + given_answers) / 2
    outputs, has_words = model.eval()(batch), batch.present[..., :1]
    torch.testing.assert_close(
        outputs.final.softmax(-1), expected.where(has_words, network_answers)
    )


def test_the_text_encoders_own_answer_is_not_learned() -> None:
    model = network("gscon:recurrent+own", "causal")
    assert model.direct is not None
    assert not [*model.direct.parameters()]
    assert model.train()(conversations(1, 3)).direct is None


@every_network
def test_in_full_mode_nothing_is_last_and_nothing_goes_on(name: str) -> None:
    model = network(name, "full")
    with pytest.raises(ValueError, match="no position is the last"):
        model(conversations(1, 3), last=True)
    with pytest.raises(InputError, match="whole conversation") as caught:
        model.start()
    assert "\n" not in str(caught.value)


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="context 0"):
        network("gscon", "causal").start(0)


@every_network
@every_mode
def test_every_parameter_belongs_to_exactly_one_group(name: str, mode: Mode) -> None:
    for chosen in (MODALITIES, ("text", "audio")):
        model = network(name, mode, modalities=chosen)
        groups = model.groups()
        assert list(groups) == [*(f"enc.{m}" for m in chosen), "shared", "fusion", "heads"]
        grouped = [id(p) for group in groups.values() for p in group]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == {id(p) for p in model.parameters()}


@every_network
@every_mode
def test_every_parameter_takes_part(name: str, mode: Mode) -> None:
    """In the answers, or in the network's own losses."""
    model = network(name, mode).train()
    answers = model(conversations(8, 6))
    own = torch.stack([loss.mean() for loss in answers.own.values()] or [torch.zeros(())]).sum()
    torch.autograd.backward(everything(answers).square().mean() + own)
    idle = [key for key, p in model.named_parameters() if p.grad is None or (p.grad == 0).all()]
    assert idle == []


@pytest.mark.parametrize("name", ["gscon", "ada2i:recurrent", "dialogue_rnn", "mlp"])
def test_with_experts_nothing_but_their_log_probabilities_is_read(name: str) -> None:
    torch.manual_seed(3)
    kind, _, encoder = name.partition(":")
    sizes: dict[str, Any] = {"width": 8, "heads": 2, "classes": 2, "experts": True}
    sizes["encoder"] = encoder or "transformer"
    model = build(Architecture(DIMS, mode="buffer", network=kind, **sizes)).eval()
    batch = conversations(1, 4, missing=0.0)
    before = everything(model(batch))
    others = {m: torch.cat([x[..., :-2] + 9, x[..., -2:]], -1) for m, x in batch.features.items()}
    assert torch.equal(everything(model(with_features(batch, **others))), before)
    for m, x in batch.features.items():
        moved = torch.cat([x[..., :-1], x[..., -1:] + 1], -1)
        assert not torch.equal(everything(model(with_features(batch, **{m: moved}))), before)


@pytest.mark.parametrize("name", ["gscon", "transformer"])
def test_conversations_longer_than_any_block_of_attention(name: str) -> None:
    """Attention is computed by blocks of 512; those that are masked altogether do no harm."""
    model = network(name, "causal", torch.float64, speakers=1)
    batch = conversations(1, 1100, dtype=torch.float64)
    with torch.inference_mode():
        whole = everything(model(batch))[:, -1:]
        end = places(batch, slice(-(model.receptive_field or 0), None))
        torch.testing.assert_close(whole, everything(model(end))[:, -1:], **EXACT)


#: Own answers stay as they are: log-probabilities cannot shout.
@pytest.mark.parametrize(
    "name",
    [name for name in EVERY if network(name, "causal").STANDARDISES and not name.endswith("+own")],
)
def test_features_are_standardised_by_the_checkpoint_and_cannot_shout(name: str) -> None:
    model = network(name, "buffer", torch.float64)
    batch = conversations(1, 3, missing=0.0, dtype=torch.float64)
    before = everything(model(batch))
    for m, layer in model.standardise.items():
        mean, deviation = torch.full((DIMS[m],), 5.0), torch.full((DIMS[m],), 2.0)
        layer.load_state_dict({"mean": mean, "deviation": deviation})
    raw = with_features(batch, **{m: 2 * x + 5 for m, x in batch.features.items()})
    torch.testing.assert_close(everything(model(raw)), before, **EXACT)
    loud = [with_features(batch, text=torch.full_like(raw.features["text"], x))
            for x in (1e3, 1e30)]  # fmt: skip
    assert torch.equal(everything(model(loud[0])), everything(model(loud[1])))


@pytest.mark.parametrize(
    ("values", "mention"),
    [
        ({"network": "lstm"}, "dialogue_rnn"),
        ({"network": "ada2i", "options": {"rang": 3}}, "rank, residual, weightings, scale"),
        ({"network": "ada2i", "options": {"rank": 0}}, "rank"),
        ({"network": "cmath", "options": {"kernel": "three"}}, "kernel"),
        ({"network": "mlp", "options": {"kernel": 3}}, "its options are: none"),
        ({"network": "mlp", "experts": True}, "7 log-probabilities"),
        ({"network": "product"}, "fewer than the 7 log-probabilities"),
        ({"network": "gscon", "projector": True}, "shared encoder of its own"),
        ({"dims": {}}, "none"),
        ({"dims": {"text": 3, "smell": 2}}, "smell"),
        ({"dims": {"text": 0}}, "dims.text"),
        ({"width": 10, "heads": 4}, "10"),
        ({"memory": 0}, "memory"),
        ({"context": 0}, "context"),
        ({"layers": -1}, "layers"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(values: dict[str, Any], mention: str) -> None:
    with pytest.raises(InputError) as caught:
        build(Architecture(**{"dims": DIMS, **values}))
    assert mention in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    speakers=st.lists(st.lists(st.integers(-3, 9), min_size=7, max_size=7), min_size=1, max_size=4),
    context=st.integers(1, 9),
    length=st.integers(1, 7),
)
@settings(max_examples=30, deadline=None)
def test_windows_hold_the_last_utterances_and_count_their_own_speakers(
    speakers: list[list[int]], context: int, length: int
) -> None:
    size = (len(speakers), 7)
    batch = Conversations(
        {"text": torch.arange(7 * len(speakers)).view(*size, 1).float()},
        torch.ones(*size, 1, dtype=torch.bool),
        torch.tensor(speakers),
        torch.arange(7).expand(size) < length,
    )
    all_windows = windows(batch, context)
    for index, (names, number) in enumerate((s, n) for s in speakers for n in range(7)):
        seen = range(max(0, number - context + 1), number + 1)
        real = [place for place in seen if place < length]
        numbers = {name: i for i, name in enumerate(dict.fromkeys(names[p] for p in real))}
        gap = context - len(seen)
        conversation = index // 7
        assert all_windows.valid[index].tolist() == [False] * gap + [p < length for p in seen]
        assert all_windows.features["text"][index, gap:, 0].tolist() == [
            7 * conversation + p for p in seen
        ]
        assert all_windows.speakers[index].tolist() == [0] * gap + [
            numbers[names[p]] if p < length else 0 for p in seen
        ]


@given(names=st.lists(st.integers(-5, 5), min_size=1, max_size=12))
def test_speakers_are_numbered_as_they_appear(names: list[int]) -> None:
    known: dict[int, int] = {}
    expected = [known.setdefault(name, len(known)) for name in names]
    valid = torch.ones(1, len(names), dtype=torch.bool)
    assert by_appearance(torch.tensor([names]), valid).tolist() == [expected]
