"""What the fusion reads of training actors and dialogues comes from encoders without them."""

from collections.abc import Iterator
from pathlib import Path

import made_show
import msgspec
import numpy as np
import pytest
import torch
from progress import quiet

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextSettings, emotion_head, fresh
from gscon_live.model.encoders.text.sentence_encoder import SentenceEncoder
from gscon_live.model.encoders.text.text_encoder import TextEncoder, TrainedParts
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.encoders.voice.voice_network import VoiceNet
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.corpora import ravdess_emodb
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.ravdess_emodb import STATED, Clip
from gscon_live.train.corpora.schema import Utterance
from gscon_live.train.data import feature_banks
from gscon_live.train.encoders.text import text_cache, text_data, text_features
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.encoders.voice import out_of_fold, voice_cache
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.voice_cache import VoiceNets

SMALL = VoiceRecipe(epochs=1, batch=8, columns=40, accelerator="cpu", threads=1)


def sound(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, 9000).astype(np.float32)


@pytest.fixture
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips of every actor, files by which the cache knows them, and a small show."""

    def load() -> Iterator[tuple[Clip, np.ndarray]]:
        actors = [f"ravdess-{number:02}" for number in range(1, 25)]
        actors += [f"emodb-{number:02}" for number in (3, 8, 9, 10, 11, 12, 13, 14, 15, 16)]
        for place, actor in enumerate(actors):
            for emotion, word in ((0, "neutral"), (6, "anger")):
                clip = Clip(f"{actor}-{word}", actor, emotion, STATED.index(word))
                yield clip, sound(10 * place + emotion)

    monkeypatch.setattr(ravdess_emodb, "load", load)
    data = tmp_path / "data"
    made_show.write(data / "erc")
    (data / "voice").mkdir()
    for name in ("ravdess_speech_16k.zip", "emodb_16k.zip"):
        (data / "voice" / name).write_bytes(b"")
    monkeypatch.setenv("GSCON_DATA", str(data))
    return tmp_path


def test_the_parts_are_the_training_actors() -> None:
    parts = out_of_fold.folds()
    every = [actor for part in parts for actor in part]
    assert len(parts) == out_of_fold.FOLDS
    assert len(every) == len(set(every)) == 22
    assert {ravdess_emodb.split_of(actor) for actor in every} == {"train"}
    for part in parts:
        men = sum(actor.startswith("ravdess") and int(actor[-2:]) % 2 for actor in part)
        women = sum(actor.startswith("ravdess") and not int(actor[-2:]) % 2 for actor in part)
        assert men == women == 2


def test_no_actor_is_heard_by_a_network_that_learned_them(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[set[int]] = []
    real = voice_cache.train_voice

    def watched(recipe, clips, labels, *rest):  # type: ignore[no-untyped-def]
        # Which clips these are, by what they sound like.
        learned.append({int(one.sum() * 1e3) for one in clips.power[0].double()})
        return real(recipe, clips, labels, *rest)

    monkeypatch.setattr(voice_cache, "train_voice", watched)
    found = out_of_fold.audio_encoders(SMALL, quiet)
    assert set(found) == {one for part in out_of_fold.folds() for one in part}
    assert len({encoder.identity for encoder in found.values()}) == out_of_fold.FOLDS
    read = VoiceNets(SMALL, quiet).material
    sums = [int(one.sum() * 1e3) for one in read.spectrograms.power[0].double()]
    for part, seen in zip(out_of_fold.folds(), learned, strict=True):
        for clip, value in zip(read.clips, sums, strict=True):
            of_others = ravdess_emodb.split_of(clip.actor) == "train" and clip.actor not in part
            assert (value in seen) == of_others
    out_of_fold.audio_encoders(SMALL, quiet)
    assert len(learned) == out_of_fold.FOLDS


def test_a_bank_takes_each_actor_from_the_encoder_that_is_given_for_them(corpora: Path) -> None:
    def encoder(seed: int) -> AudioEncoder:
        torch.manual_seed(seed)
        return AudioEncoder((VoiceNet(len(EMOTIONS)).eval(), f"toy:{seed}"))

    mine, other = encoder(0), encoder(1)
    bank = feature_banks.voice_bank(mine, {"ravdess-01": other}, "train", quiet)
    by_name = {clip.name: heard for clip, heard in ravdess_emodb.load()}
    for vectors, owner, emotion in zip(bank.vectors, bank.owners, bank.emotions, strict=True):
        heard = by_name[f"{owner}-{'anger' if emotion else 'neutral'}"]
        expected = (other if owner == "ravdess-01" else mine).encode(heard)
        np.testing.assert_array_equal(vectors[0], expected)
        assert not np.allclose(vectors[0], vectors[1])


def test_training_dialogues_are_read_by_encoders_without_them(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(seed: int) -> TrainedParts:
        torch.manual_seed(seed)
        return TrainedParts(fresh(ContextSettings()), emotion_head(384, 7))

    asked: list[int] = []

    def with_head(recipe: TextRecipe, *_: object) -> tuple[object, object]:
        asked.append(recipe.left_out)
        one = made(recipe.left_out)
        model = fresh(ContextSettings())
        model.load_state_dict(
            {**model.state_dict(), "bias": one.bias}
            | {f"layers.{name}": value for name, value in one.layers.state_dict().items()}
        )
        return model, one.head

    monkeypatch.setattr(text_cache, "with_head", with_head)
    real = TextEncoder
    monkeypatch.setattr(
        text_features,
        "TextEncoder",
        lambda learned=None: real(learned=learned or made(0)),
    )
    recipe = TextRecipe(name="toy", corpora=("meld",), prosody=False, parts=2)
    reader = text_features.MeldTextFeatures(recipe, quiet)
    for split in ("train", "test"):
        dialogues = load_table("meld").utterances(split)
        found = reader.versions(dialogues, split)
        assert found.shape == (6, feature_banks.VARIANTS, reader.encoder.dim)
        row = 0
        for place, turns in enumerate(dialogues):
            part = 1 + text_data.partition(2, 2)[place] if split == "train" else 0
            expected = real(learned=made(part))
            for turn in turns:
                vector = expected.final(turn.text, turn.speaker)
                np.testing.assert_allclose(found[row, 0], vector, atol=1e-4)
                row += 1
    assert asked == [1, 2]
    wrong = reader.recognised(load_table("meld").utterances("test"), "test", 1.0)
    assert not np.allclose(wrong, found[:, 0], atol=1e-2)
    np.testing.assert_array_equal(
        reader.recognised(load_table("meld").utterances("test"), "test", 0.0)[1, :384],
        SentenceEncoder().encode("all right then"),
    )


def test_a_recipe_that_reads_other_words_than_the_included_encoder_is_refused(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = TrainedParts(fresh(ContextSettings()), emotion_head(384, 7), normalise=True)
    encoder = TextEncoder(learned=parts)
    monkeypatch.setattr(text_features, "TextEncoder", lambda: encoder)
    recipe = TextRecipe(name="toy", corpora=("meld",), normalise=True)
    marked, bare = [
        [[Utterance("A", text, 0), Utterance("B", "?!", 0)]] for text in ("Oh NO!", "oh no")
    ]
    reader = text_features.MeldTextFeatures(recipe, quiet)
    first, again = (reader.versions(one, "test")[:, 0] for one in (marked, bare))
    np.testing.assert_array_equal(first, again)
    assert not first[1, :384].any()
    other = msgspec.structs.replace(recipe, normalise=False)
    with pytest.raises(InputError, match="fit toy ship=true"):
        text_features.MeldTextFeatures(other, quiet).versions(marked, "train")


def test_who_speaks_counts_for_what_is_kept_of_a_dialogue(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    learned = TrainedParts(fresh(ContextSettings()), emotion_head(384, 7))
    # So that it matters whether the same person goes on.
    learned.bias.data.normal_(std=3.0)
    real = TextEncoder
    monkeypatch.setattr(text_features, "TextEncoder", lambda: real(learned=learned))
    reader = text_features.MeldTextFeatures(
        TextRecipe(name="toy", corpora=("meld",), parts=2), quiet
    )
    turns = [Utterance("A", "so", 0), Utterance("B", "what", 0), Utterance("A", "now", 0)]
    alone = [Utterance("A", turn.text, 0) for turn in turns]
    several, one = (reader.versions([said], "test")[:, 0] for said in (turns, alone))
    np.testing.assert_array_equal(several[:, :384], one[:, :384])
    for said, vectors in ((turns, several), (alone, one)):
        again = real(learned=learned)
        expected = [again.final(turn.text, turn.speaker) for turn in said]
        np.testing.assert_allclose(vectors, expected, atol=1e-4)
    assert not np.allclose(several, one, atol=1e-2)


def test_a_part_of_the_dialogues_is_left_out(corpora: Path) -> None:
    whole = text_data.corpora(TextRecipe(corpora=("meld",)))["meld"]
    rest = [
        text_data.corpora(TextRecipe(corpora=("meld",), parts=2, left_out=part))["meld"].train
        for part in (1, 2)
    ]
    assert [one.ids for one in [*rest[1], *rest[0]]] == [one.ids for one in whole.train]
    assert len(rest[0]) == len(rest[1]) == 1


def test_scenes_of_a_corpus_apart_are_not_learned_whatever_their_split(corpora: Path) -> None:
    alone = TextRecipe(corpora=("emorynlp",))
    apart = TextRecipe(corpora=("emorynlp",), apart=("meld",))
    assert [len(text_data.corpora(one)["emorynlp"].train) for one in (alone, apart)] == [2, 1]


def test_what_is_misheard_is_so_in_each_epoch_anew_and_without_prosody(corpora: Path) -> None:
    recipe = TextRecipe(
        corpora=("meld",),
        epochs=3,
        prosody=False,
        mishearing=text_features.AsrNoise(errors=1.0, least=0.9, most=0.9),
    )
    found = text_data.corpora(recipe)["meld"]
    assert found.train[0].sound.shape[1] == 0
    read = [[one.ids for one in found.read_in(epoch)] for epoch in range(3)]
    assert read[0] != read[1] != read[2]
    assert read == [
        [one.ids for one in text_data.corpora(recipe)["meld"].read_in(epoch)] for epoch in range(3)
    ]
    assert [len(one.targets) for one in found.train] == [3, 3]
    plain = text_data.corpora(TextRecipe(corpora=("meld",)))["meld"]
    assert plain.read_in(2) is plain.train
    assert plain.train[0].sound.shape[1] > 0
