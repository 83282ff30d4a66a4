"""What the live pipeline extracts is what the model was trained on: no skew between the two."""

import itertools
import wave
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
from gscon_live.model.encoders.voice.voice_statistics import VoiceStatistics
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.model.speech.endpoint_detector import Segmentation
from gscon_live.model.speech.utterances import longest_utterance
from gscon_live.model.speech.voice_activity import VoiceActivity
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.listen.segmenter import Segmenter
from gscon_live.realtime.listen.transcriber import Transcriber
from gscon_live.realtime.pipeline import messages
from gscon_live.realtime.pipeline.settings import Recording
from gscon_live.realtime.watch.watcher import Watcher
from gscon_live.train.corpora import data_folder, fer2013, ravdess_emodb
from gscon_live.train.corpora.iemocap_meld_emorynlp import load_table
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


def test_sound_of_a_file_has_the_same_features(tmp_path: Path) -> None:
    """The voice encoder learned from the longest utterance of a clip, with silence around it."""
    by_actor = (sound for clip, sound in ravdess_emodb.load() if clip.actor == "ravdess-21")
    encoder, detector = AudioEncoder(), VoiceActivity()
    for number, sound in enumerate(itertools.islice(by_actor, 3)):
        learned = longest_utterance(sound, detector)
        assert learned is not None
        file = tmp_path / f"{number}.wav"
        quiet = np.zeros(SAMPLE_RATE, np.float32)
        with wave.open(str(file), "wb") as out:
            out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            clip = np.concatenate([quiet, sound, quiet])
            out.writeframes((clip * 32_768).astype("<i2").tobytes())
        source = RecordingSource(file, Recording(), captions="off")
        segmenter = Segmenter(Segmentation())
        stage = Transcriber(None, TextEncoder(), encoder, SpeakerClustering(4))
        given: list[object] = []
        source.open()
        while not given or not isinstance(given[-1], messages.End):
            given += source.read()
        source.close()
        cut = [one for message in given for one in segmenter.process(message)]  # type: ignore[arg-type]
        cut += segmenter.flush()
        heard = [
            one
            for message in cut
            for one in stage.process(message)
            if isinstance(one, messages.Utterance) and one.final
        ]
        longest = max(heard, key=lambda utterance: utterance.end - utterance.start)
        live = np.frombuffer(longest.audio_features or b"", np.float32)
        # The first utterance of a speaker; the others of a clip come after it.
        encoder.reset()
        expected = encoder.provisional(encoder.statistics(learned), "S1")
        np.testing.assert_allclose(live[: VoiceStatistics.dim], expected[: VoiceStatistics.dim],
                                   atol=ALIKE, rtol=ALIKE)  # fmt: skip
        if heard[0] is longest:
            np.testing.assert_allclose(live, expected, atol=ALIKE, rtol=ALIKE)


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
