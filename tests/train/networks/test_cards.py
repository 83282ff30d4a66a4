"""A card says what was really validation, and which epoch was kept."""

import dataclasses
from pathlib import Path

import pytest
from made_runs import corpus, trained

from gscon_live.model import checkpoint
from gscon_live.train.corpora.sessions import LeftOut
from gscon_live.train.engine.trainer import State
from gscon_live.train.networks import cards
from gscon_live.train.networks.recipe import ConversationRecipe

CORPUS = dataclasses.replace(corpus(), name="iemocap")
MODEL = trained(CORPUS)


def card(folder: Path, which: LeftOut, seed: int) -> checkpoint.Card:
    recipe = ConversationRecipe(
        name="mine", text="frozen", text_seeds=4, left_out_session=which, distillation=0
    )
    state = State(epoch=1, best_epoch=1, history=[{"validation_weighted_f1": 0.5}])
    cards.save(MODEL, state, recipe, CORPUS, seed, folder / "model")
    return checkpoint.read_card(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("which", "seed", "session"), [("each", 2, 2), ("each", 5, 1), (3, 1, 3), (3, 2, 3)]
)
def test_a_session_that_was_left_out_is_named(
    tmp_path: Path, which: LeftOut, seed: int, session: int
) -> None:
    said = card(tmp_path, which, seed).split
    assert f"validation Session {session}," in said
    assert "12 dialogues" not in said


def test_without_one_the_usual_validation_is_named(tmp_path: Path) -> None:
    assert "12 dialogues of Sessions 1 to 4" in card(tmp_path, 0, 1).split
