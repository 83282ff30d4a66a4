"""The weights that ship do on held-out data what their cards say."""

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gscon_live.model import checkpoint
from gscon_live.model.encoders.face.face_encoder import WEIGHTS, FaceEncoder, FaceNet
from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.features import UtteranceFeatures
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.recogniser import EmotionRecogniser
from gscon_live.train.corpora import data_folder, ravdess_emodb
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.corpora.labelled_faces import scored_faces
from gscon_live.train.encoders.face.training import evaluate
from gscon_live.train.scoring.encoder_scores import face_corpus
from gscon_live.train.scoring.metrics import score

pytestmark = pytest.mark.skipif(
    not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA"
)


def test_the_face_encoder_scores_what_its_card_says() -> None:
    net = FaceNet()
    net.load_state_dict(load_file(WEIGHTS))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster
    card = msgspec.json.decode(WEIGHTS.with_suffix(".json").read_bytes())
    found = evaluate(net, scored_faces(face_corpus(), "test"))
    assert found.accuracy == pytest.approx(card["test"]["accuracy"], abs=2e-3)
    assert found.accuracy > 0.68


def test_words_alone_beat_always_neutral_on_real_dialogues() -> None:
    """Through the recogniser, one utterance after the other, as live."""
    text = TextEncoder()
    live = checkpoint.load("live")
    live.card.require("text", text.identity)
    recogniser = EmotionRecogniser(live)
    probabilities, labels = [], []
    for turns in load_table("meld").utterances("test")[:25]:
        recogniser.reset()
        text.reset()
        for turn in turns:
            features = UtteranceFeatures(text=text.final(turn.text, turn.speaker))
            probabilities.append(recogniser.final(features, turn.speaker).probabilities)
            labels.append(turn.label)
    found = score(np.stack(probabilities), np.array(labels), EMOTIONS)
    neutral = np.eye(len(EMOTIONS))[[0] * len(labels)]
    always = score(neutral, np.array(labels), EMOTIONS)
    assert found.weighted_f1 > always.weighted_f1 + 0.2
    assert found.macro_f1 > always.macro_f1 + 0.2


def test_voices_and_faces_of_unknown_people_move_the_answer_the_right_way() -> None:
    """The probability of anger and of joy, when shown against when not."""
    live = checkpoint.load("live")
    audio, visual = AudioEncoder(), FaceEncoder()
    live.card.require("audio", audio.identity)
    live.card.require("visual", visual.identity)
    recogniser = EmotionRecogniser(live)
    by_voice: dict[bool, list[float]] = {True: [], False: []}
    anger = EMOTIONS.index("anger")
    for clip, sound in ravdess_emodb.load():
        if clip.actor in ("ravdess-21", "ravdess-22") and clip.emotion in (0, anger):
            heard = audio.provisional(audio.statistics(sound), clip.actor)
            given = UtteranceFeatures(audio=heard)
            chance = recogniser.provisional(given, "S1").probabilities[anger]
            by_voice[clip.emotion == anger].append(float(chance))
    assert np.mean(by_voice[True]) > np.mean(by_voice[False]) + 0.15

    by_face: dict[bool, list[float]] = {True: [], False: []}
    joy = EMOTIONS.index("joy")
    faces = scored_faces(face_corpus(), "test")
    for pixels, emotion in zip(faces.pixels[::40], faces.labels[::40], strict=True):
        given = UtteranceFeatures(visual=visual.pool(visual.encode(pixels[None])))
        chance = recogniser.provisional(given, "S1").probabilities[joy]
        by_face[emotion == joy].append(float(chance))
    assert np.mean(by_face[True]) > np.mean(by_face[False]) + 0.15
