"""What the live pipeline extracts is what the model was trained on: no skew between the two."""

import itertools
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from progress import quiet

from gscon_live.model.encoders.face.face_encoder import FaceEncoder
from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerClustering
from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.listen.caption_segmenter import CaptionSegmenter
from gscon_live.realtime.listen.transcriber import Transcriber
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Recording
from gscon_live.realtime.watch.watcher import Watcher
from gscon_live.train.corpora import corpus_file, data_folder, fer2013, ravdess_emodb
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
from gscon_live.train.data import feature_banks
from gscon_live.train.encoders.text import text_cache, text_features

pytestmark = pytest.mark.skipif(
    not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA"
)

#: Features of the two may differ by so much.
ALIKE = 1e-5


class Found(NamedTuple):
    x: int
    y: int
    width: int
    height: int


class Framed:
    """A detector that finds a face where FER2013 has it: nearly all of the picture."""

    def detect(self, frame: np.ndarray, near: Sequence[Found] = ()) -> Sequence[Found]:
        return [Found(1, 1, 46, 46)]


def test_sound_of_a_file_has_the_same_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_one = (one for one in ravdess_emodb.load() if one[0].actor == "ravdess-21")
    chosen = list(itertools.islice(by_one, 3))
    with zipfile.ZipFile(corpus_file("voice/ravdess_speech_16k.zip")) as archive:
        for clip, _ in chosen:
            (tmp_path / clip.name).write_bytes(archive.read(clip.name))
    monkeypatch.setattr(ravdess_emodb, "load", lambda: iter(chosen))
    encoder = AudioEncoder()
    bank = feature_banks.voice_bank(encoder, {}, "test", quiet)
    assert len(bank.vectors) == len(chosen) == 3
    for row, (clip, _) in zip(bank.vectors, chosen, strict=True):
        source = RecordingSource(tmp_path / clip.name, Recording(), captions="off")
        segmenter = CaptionSegmenter(Segmentation(), has_audio=True)
        stage = Transcriber(None, TextEncoder(), encoder, SpeakerClustering(4))
        given: list[object] = [messages.Cue(0.0, 60.0, "Kids are talking by the door.")]
        source.open()
        while not isinstance(given[-1], messages.End):
            given += source.read()
        source.close()
        cut = [one for message in given for one in segmenter.process(message)]  # type: ignore[arg-type]
        cut += segmenter.flush()
        made = [one for message in cut for one in stage.process(message)]
        (heard,) = [one for one in made if isinstance(one, messages.Utterance) and one.final]
        assert heard.audio_features is not None
        live = np.frombuffer(heard.audio_features, np.float32)
        np.testing.assert_allclose(live, row[0], atol=ALIKE, rtol=ALIKE)


def test_words_of_a_dialogue_have_the_same_features() -> None:
    dialogues = load_table("meld").utterances("test")[:3]
    reader = text_features.MeldTextFeatures(text_cache.recipe("text-spoken"), quiet)
    learned = reader.versions(dialogues, "test")[:, 0]
    live = []
    for turns in dialogues:
        stage = Transcriber(None, TextEncoder(), AudioEncoder(), SpeakerClustering(4))
        for number, turn in enumerate(turns):
            at = float(number)
            segment = messages.Segment(
                number, at, at + 1, at + 1, True, None, turn.text, turn.speaker
            )
            (said,) = stage.process(segment)
            assert isinstance(said, messages.Utterance)
            live.append(np.frombuffer(said.text_features or b"", np.float32))
    np.testing.assert_allclose(np.stack(live), learned, atol=ALIKE, rtol=ALIKE)


def test_a_face_in_a_picture_has_the_same_features() -> None:
    encoder = FaceEncoder()
    pixels = fer2013.load("test").pixels[:20]
    for number, face in enumerate(pixels):
        frame = cv2.cvtColor(face, cv2.COLOR_GRAY2BGR)
        watcher = Watcher(Framed(), encoder, 32)
        (seen,) = watcher.process(messages.VideoFrame(float(number), 48, 48, frame.tobytes()))
        assert isinstance(seen, messages.Faces)
        live = np.frombuffer(seen.faces[0].features, np.float32)
        np.testing.assert_allclose(live, encoder.encode(face[None])[0], atol=ALIKE, rtol=ALIKE)
