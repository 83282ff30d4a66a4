"""The key of a recording's results: it names everything on which its events depend."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gscon_live.model import checkpoint
from gscon_live.realtime.archive.entries import Facts
from gscon_live.realtime.archive.versions import (
    hash_of_files,
    pipeline_version,
    transcriber_version,
)
from gscon_live.realtime.listen import transcription_source
from gscon_live.realtime.listen.enrolled_speakers import voices_file
from gscon_live.realtime.listen.transcription_source import Words
from gscon_live.realtime.pipeline.settings import Settings

#: Settings without effect on the replay of any recording: of devices and of publishing.
_UNUSED = ("microphone", "camera.device", "camera.width", "camera.height", "camera.retry",
           "page", "publish.endpoint", "publish.curve", "recording.url_limit")  # fmt: skip
#: Settings that are named otherwise: by the model that they choose.
_NAMED = (
    "speakers.enrolled",
    "transcription.transcriber",
    "features.text_model",
    "features.face_detector",
)
#: Settings without effect on a recording without pictures.
_PICTURES = ("camera.rate", "recording.max_width", "features.min_face")


class Keys:
    """Gives the keys of recordings, under the same settings and models.

    A setting is part of a key only where it can change the events of that recording: with captions,
    for example, those of the transcriber are not.

    Args:
        settings: the settings of the replay.
        captions: "auto" or "off".
        say: gets a line for the user before the download of a transcriber.
    """

    def __init__(
        self, settings: Settings, captions: str, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._settings = settings
        self._captions = captions
        self._say = say
        self._words: dict[bool, str] = {}
        self._detector: str | None = None
        self._model: dict[str, Any] | None = None

    def of(self, facts: Facts) -> str:
        """The key of a recording: 32 hexadecimal digits."""
        return hashlib.blake2b(
            msgspec.json.encode(self.inputs(facts), order="deterministic"), digest_size=16
        ).hexdigest()

    def inputs(self, facts: Facts) -> dict[str, Any]:
        """What the key is computed from, as plain values."""
        words = self._words_of(facts.has_captions)
        settings = msgspec.to_builtins(self._settings)
        unused = [*_UNUSED, *_NAMED, *(() if facts.has_video else _PICTURES)]
        for name in unused:
            group, _, key = name.partition(".")
            settings[group].pop(key, None) if key else settings.pop(group)
        if not words.startswith("whisper:"):
            # Of the transcriber's settings, captions have their language alone.
            settings["transcription"] = {"language": self._settings.transcription.language}
        return {
            "name": facts.name,
            "content": facts.content,
            "captions": self._captions,
            "words": words,
            "settings": settings,
            "pipeline": pipeline_version(),
            "faces": self._faces() if facts.has_video else None,
            **self._enrolled(),
            **self._emotion_model(),
        }

    def _words_of(self, has_captions: bool) -> str:
        if has_captions not in self._words:
            chosen = transcription_source.choose(
                self._settings.transcription, has_captions, self._say
            )
            self._words[has_captions] = name_of(chosen)
        return self._words[has_captions]

    def _faces(self) -> str:
        if self._detector is None:
            # Brings OpenCV along.
            from gscon_live.model.encoders.face.face_detector import FaceDetector

            self._detector = FaceDetector(self._settings.features.face_detector).identity
        return self._detector

    def _enrolled(self) -> dict[str, str]:
        """The voices that have names; nothing where none have, so that keys stay as they were."""
        choice = self._settings.speakers.enrolled
        return {} if choice is None else {"enrolled": hash_of_files([voices_file(choice)])}

    def _emotion_model(self) -> dict[str, Any]:
        if self._model is None:
            name = self._settings.recognition.checkpoint
            card = checkpoint.read_card(name)
            weights = checkpoint.weights_file(name)
            files = (weights, weights.with_suffix(".json"))
            self._model = {
                "model": f"{card.name} {card.version} {hash_of_files(map(Path, files))}",
                "encoders": card.encoders,
            }
        return self._model


def name_of(words: Words) -> str:
    """The source of the words, the same on all machines."""
    if words.model is not None:
        return transcriber_version(words.model)
    return "captions" if words.captions else "none"
