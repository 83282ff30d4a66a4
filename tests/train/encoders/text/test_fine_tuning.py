"""Ways of fine-tuning do what their papers say, and nothing where the recipe is silent."""

import math
from pathlib import Path

import msgspec
import pytest
import torch
from made_text import QUICK, made_up
from torch import Tensor, nn
from torch.nn import functional

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextSettings, fresh
from gscon_live.train.corpora import data_folder
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.sessions import LeftOut
from gscon_live.train.encoders.text import text_cache, text_data
from gscon_live.train.encoders.text.fine_tuning import (
    FineTuning,
    by_depth,
    divergence,
    draw_layers,
    supervised_contrast,
)
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.text.task import TextTask
from gscon_live.train.encoders.text.text_data import TextCorpus
from gscon_live.train.engine.devices import launch_fabric
from gscon_live.train.engine.trainer import Plan


def task(corpora: dict[str, TextCorpus] | None = None, **ways: float) -> TextTask:
    """A task on made-up words, without smoothing and with dropout."""
    recipe = msgspec.structs.replace(
        QUICK, label_smoothing=0.0, batch=200, fine_tuning=FineTuning(**ways)
    )
    return TextTask(recipe, corpora or made_up(), None, 1, launch_fabric("cpu"))


def loss(of: TextTask, dropout: bool) -> float:
    """The loss of the first step."""
    draw = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    of.learner.train(dropout)
    of.begin(0, draw)
    (part,) = next(iter(of.epoch(draw, 1)))
    return float(of.loss(part, draw, False).total.detach())


def test_the_contrastive_loss_is_that_of_the_paper() -> None:
    draw = torch.Generator().manual_seed(3)
    vectors = torch.randn(6, 5, generator=draw, dtype=torch.float64)
    labels = torch.tensor([0, 1, 0, 0, 2, 1])

    def near(one: int, other: int) -> float:
        cosine = functional.cosine_similarity(vectors[one], vectors[other], dim=0)
        return math.exp(float(cosine) / 0.2)

    expected = 0.0
    for one in range(6):
        others = [other for other in range(6) if other != one]
        alike = [other for other in others if labels[other] == labels[one]]
        whole = sum(near(one, other) for other in others)
        expected -= sum(math.log(near(one, other) / whole) for other in alike) / max(1, len(alike))
    assert float(supervised_contrast(vectors, labels, 0.2)) == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0]])
def test_labels_that_no_two_share_have_no_contrast(labels: list[int]) -> None:
    vectors = torch.eye(3)[: len(labels)].requires_grad_(True)
    found = supervised_contrast(vectors, torch.tensor(labels), 0.1)
    found.backward()
    assert float(found.detach()) == 0.0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_the_divergence_is_the_mean_of_both_directions() -> None:
    draw = torch.Generator().manual_seed(3)
    one, other = torch.randn(2, 4, 3, generator=draw, dtype=torch.float64).log_softmax(-1)
    both = [
        functional.kl_div(a, b, reduction="sum", log_target=True)
        for a, b in ((one, other), (other, one))
    ]
    torch.testing.assert_close(divergence(one + 7, other), sum(both, torch.zeros(())).double() / 2)
    assert float(divergence(one, one)) == 0.0


def test_r_drop_punishes_answers_that_dropout_changes() -> None:
    assert loss(task(r_drop=2.0), dropout=False) == pytest.approx(loss(task(), dropout=False))
    twice, more = (loss(task(r_drop=weight), dropout=True) for weight in (1e-9, 2.0))
    assert more > twice
    half = loss(task(r_drop=1.0), dropout=True)
    assert half - twice == pytest.approx((more - twice) / 2, rel=1e-3)


def test_the_contrastive_loss_is_added_with_its_weight() -> None:
    plain, with_it = task(), task(contrast=0.5, temperature=0.2)
    part = _first(with_it)
    reading = with_it._read("made", part)
    labels = reading.targets.argmax(1)
    expected = supervised_contrast(reading.vectors, labels, 0.2) / len(labels)
    added = loss(with_it, dropout=False) - loss(plain, dropout=False)
    assert added == pytest.approx(0.5 * float(expected.detach()), rel=1e-4)


def _first(of: TextTask) -> list[text_data.TokenDialogue]:
    draw = torch.Generator().manual_seed(1)
    of.learner.eval()
    of.begin(0, draw)
    return next(iter(of.epoch(draw, 1)))[0].rows


def test_lower_layers_learn_more_slowly() -> None:
    of = task(layer_decay=0.5)
    groups = of.groups(Plan(seed=1, epochs=1, learning_rate=1.0, weight_decay=0.1))
    rate = {id(p): group.learning_rate for group in groups for p in group.parameters}
    decay = {id(p): group.weight_decay for group in groups for p in group.parameters}
    trained = [p for p in of.learner.parameters() if p.requires_grad]
    assert sorted(rate) == sorted(map(id, trained))
    assert sum(len(group.parameters) for group in groups) == len(trained)
    for place, layer in enumerate(of.encoder.layers):
        for parameter in layer.parameters():
            assert rate[id(parameter)] == 0.5 ** (5 - place)
            assert decay[id(parameter)] == (0.1 if parameter.dim() > 1 else 0.0)
    assert rate[id(of.encoder.bias)] == QUICK.bias_learning_rate


def test_what_is_below_the_layers_learns_most_slowly() -> None:
    encoder = fresh(ContextSettings())
    encoder.relative = nn.Embedding(4, 12)
    *layers, below = by_depth(encoder)
    assert [len(depth) for depth in layers] == [len([*encoder.layers[0].parameters()])] * 6
    assert layers[0][0] is next(encoder.layers[5].parameters())
    held = {id(p) for p in (*encoder.embeddings.parameters(), *encoder.relative.parameters())}
    assert {id(p) for p in below} == held


def test_the_top_layers_are_drawn_anew_and_the_others_stay() -> None:
    before, encoder, again = (fresh(ContextSettings()) for _ in range(3))
    for one in (encoder, again):
        torch.manual_seed(5)
        draw_layers(one, 2, "mine")
    changed: set[int] = set()
    for place, (old, new, same) in enumerate(
        zip(before.layers, encoder.layers, again.layers, strict=True)
    ):
        weights: list[dict[str, Tensor]] = [each.state_dict() for each in (old, new, same)]
        for name, value in weights[1].items():
            assert torch.equal(value, weights[2][name])
            if not torch.equal(value, weights[0][name]):
                changed.add(place)
    assert changed == {4, 5}
    top = encoder.layers[5].output
    assert float(top.dense.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not top.dense.bias.any()
    assert torch.equal(top.LayerNorm.weight, torch.ones(384))
    draw_layers(again, 0, "mine")
    assert torch.equal(again.layers[5].output.dense.weight, top.dense.weight)


def test_a_name_stands_before_the_words_where_the_recipe_says_so(show: Path) -> None:
    named = text_data.utterance_texts(load_table("meld").splits["train"][0], True)
    assert named[1:] == ["B: all right then", "A: well"]
    recipe = TextRecipe(corpora=("meld",))
    with_names = msgspec.structs.replace(recipe, speaker_names=True)
    first, second = (text_data.corpora(one)["meld"] for one in (recipe, with_names))
    for split in ("train", "validation"):
        lengths = [
            [len(ids) for dialogue in getattr(corpus, split) for ids in dialogue.ids]
            for corpus in (first, second)
        ]
        assert [more - less for less, more in zip(*lengths, strict=True)] == [2] * len(lengths[0])


@pytest.mark.skipif(not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA")
@pytest.mark.parametrize(
    ("which", "seed", "session"),
    [(1, 1, 1), (2, 1, 2), (3, 5, 3), (4, 1, 4), ("each", 1, 1), ("each", 4, 4), ("each", 6, 2)],
)
def test_of_a_session_that_is_left_out_nothing_is_learned(
    which: LeftOut, seed: int, session: int
) -> None:
    recipe = TextRecipe(corpora=("iemocap",), left_out_session=which)
    corpus = text_data.corpora(recipe, seed)["iemocap"]
    own = text_data.corpora(TextRecipe(corpora=("iemocap",)))["iemocap"]
    splits = load_table("iemocap").splits
    names = [dialogue.name for split in ("train", "validation") for dialogue in splits[split]]
    words = [dialogue.ids for dialogue in (*own.train, *own.validation)]
    inside = [name.startswith(f"Ses0{session}") for name in names]
    assert sum(inside) > 25
    for found, kept in ((corpus.train, False), (corpus.validation, True)):
        expected = [ids for ids, there in zip(words, inside, strict=True) if there == kept]
        assert [dialogue.ids for dialogue in found] == expected


def test_sessions_in_turn_are_the_encoders_of_single_sessions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "iemocap.csv"
    table.write_text("the key of an encoder has a hash of its corpora")
    monkeypatch.setattr(text_cache, "_files", lambda name: [table])
    each = TextRecipe(left_out_session="each")
    for seed, session in ((1, 1), (2, 2), (4, 4), (5, 1)):
        alone = msgspec.structs.replace(each, left_out_session=session)
        assert text_cache.key(each, seed) == text_cache.key(alone, seed)
    assert text_cache.key(each, 1) != text_cache.key(each, 5)


@pytest.mark.parametrize(("frozen", "trained"), [(-1, 6), (2, 4)])
def test_more_fresh_layers_than_are_trained_is_refused(frozen: int, trained: int) -> None:
    fine = FineTuning(fresh_layers=trained + 1)
    recipe = msgspec.structs.replace(QUICK, frozen=frozen, fine_tuning=fine)
    refusal = (
        f"recipe 'quick': fine_tuning.fresh_layers {trained + 1}, but {trained} layers are "
        f"trained; give at most {trained}"
    )
    with pytest.raises(InputError, match=refusal):
        TextTask(recipe, made_up(), None, 1, launch_fabric("cpu"))
