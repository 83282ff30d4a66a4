"""A text encoder answers by its own head, without a network on top."""

from pathlib import Path

import numpy as np
import pytest
import torch
from progress import quiet
from safetensors.torch import load_file, save_file

from gscon_live.common.errors import InputError
from gscon_live.model.networks.network import build
from gscon_live.train import fit
from gscon_live.train.corpora.dataset import batch
from gscon_live.train.encoders.text import corpus_features, text_cache
from gscon_live.train.encoders.text.learner import VOICED
from gscon_live.train.networks.material import material
from gscon_live.train.networks.recipe import ConversationRecipe, architecture
from gscon_live.train.scoring.metrics import score


def recipe(folder: Path, prosody: bool, speaker_names: bool = False) -> Path:
    path = folder / "spoken.yaml"
    path.write_text(
        f"kind: text\nname: spoken\ncorpora: [meld]\nepochs: 2\nprosody: {str(prosody).lower()}\n"
        f"learning_rate: 0.001\nkeep: last\nspeaker_names: {str(speaker_names).lower()}\n"
    )
    return path


@pytest.mark.parametrize(
    ("prosody", "speaker_names"), [(True, False), (False, False), (False, True)]
)
def test_the_answers_are_those_that_training_scored(
    show: Path, prosody: bool, speaker_names: bool
) -> None:
    path = str(recipe(show, prosody, speaker_names))
    corpus = corpus_features.own_answers("meld", path, 1, quiet)
    rows = torch.cat([dialogue.features["text"] for dialogue in corpus.splits["validation"]])
    labels = torch.cat([dialogue.labels for dialogue in corpus.splits["validation"]])
    assert torch.allclose(rows.exp().sum(1), torch.ones(len(rows)))
    kept = labels >= 0
    answers = rows[kept].exp().double().numpy()
    f1 = score(answers, labels[kept].numpy(), [*corpus.labels]).weighted_f1
    scored = text_cache.validation(text_cache.recipe(path), 1)[-1]["meld"]
    np.testing.assert_allclose(f1, scored)


def test_a_run_without_a_network_answers_as_the_encoder_does(show: Path) -> None:
    path = recipe(show, True)
    overrides = [
        "model=product", "modalities=[text]", f"text={path}", "direct=false", "distillation=0",
        "epochs=1", "plugins={}",
    ]  # fmt: skip
    settings = fit.recipe("meld", overrides)
    assert isinstance(settings, ConversationRecipe)
    corpus = material(settings, 1, quiet)
    assert corpus.dims == {"text": len(corpus.labels)}
    network = build(architecture(settings, corpus)).eval()
    conversations, _ = batch(corpus.splits["test"])
    answers = network(conversations).final.log_softmax(-1)
    expected = conversations.features["text"]
    assert torch.allclose(answers[conversations.valid], expected[conversations.valid], atol=1e-5)


@pytest.mark.parametrize("prosody", [True, False])
def test_beside_a_network_it_answers_with_the_voice_and_without(show: Path, prosody: bool) -> None:
    path = str(recipe(show, prosody))
    voiced = corpus_features.own_answers("meld", path, 1, quiet)
    settings = fit.recipe("meld", [f"text={path}", "general=frozen", "direct=own"])
    assert isinstance(settings, ConversationRecipe)
    corpus = material(settings, 1, quiet)
    made = architecture(settings, corpus)
    assert (made.own_answers, made.direct) == (True, 2 * len(corpus.labels))
    build(made)
    for alone, both in zip(voiced.splits["test"], corpus.splits["test"], strict=True):
        first, second = both.features["text"][:, -made.direct :].chunk(2, -1)
        assert torch.equal(first, alone.features["text"])
        assert torch.allclose(second.exp().sum(1), torch.ones(len(second)))
        assert torch.equal(first, second) != prosody


@pytest.mark.parametrize(
    "override", ["modalities=[audio]", "modalities=null", "text=frozen", "direct=true"]
)
def test_what_has_no_answers_of_its_own_is_refused(show: Path, override: str) -> None:
    path = recipe(show, True)
    with pytest.raises(InputError, match=r"model 'product'.*give modalities=\[text\]"):
        fit.recipe("meld", ["model=product", "modalities=[text]", f"text={path}", override])


def test_an_encoder_whose_head_was_not_kept_is_refused_in_a_line(show: Path) -> None:
    settings = text_cache.recipe(str(recipe(show, True)))
    weights = text_cache.trained(settings, 1, quiet)
    state = load_file(weights)
    save_file({k: v for k, v in state.items() if not k.startswith(VOICED)}, weights)
    with pytest.raises(InputError, match="remove the file"):
        text_cache.voiced_head(settings, 1, "meld", quiet)


def test_there_is_no_head_for_another_corpus(show: Path) -> None:
    settings = text_cache.recipe(str(recipe(show, True)))
    with pytest.raises(InputError, match="no head for iemocap"):
        text_cache.voiced_head(settings, 1, "iemocap", quiet)
