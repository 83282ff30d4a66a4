"""The models of a process, loaded at first use."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gscon_live.realtime.pipeline.settings import Transcription

if TYPE_CHECKING:
    from gscon_live.model.checkpoint import Checkpoint
    from gscon_live.model.encoders.face.face_detector import FaceDetector
    from gscon_live.model.encoders.face.face_encoder import FaceEncoder
    from gscon_live.model.encoders.speaker.voice_change import VoiceChange
    from gscon_live.model.encoders.text.text_encoder import TextEncoder
    from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
    from gscon_live.model.speech.overlap import OverlapDetector
    from gscon_live.model.speech.voice_activity import VoiceActivity
    from gscon_live.realtime.listen.whisper import Whisper

T = TypeVar("T")


class Models:
    """Loads each model once, and keeps it for later sessions of the same process.

    Some models remember a conversation. A stage forgets it when it is built, so the sessions of a
    process must follow one another. All methods raise `InputError` where a model is missing.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def voice_activity(self) -> "VoiceActivity":
        """Tells voice from other sound."""
        from gscon_live.model.speech.voice_activity import VoiceActivity

        return self._once("voice activity", VoiceActivity)

    def voice_change(self) -> "VoiceChange":
        """Tells whether another person speaks on."""
        from gscon_live.model.encoders.speaker.voice_change import VoiceChange

        return self._once("voice change", lambda: VoiceChange(self.audio_encoder().statistics))

    def overlap(self) -> "OverlapDetector":
        """Tells where two people speak at once."""
        from gscon_live.model.speech.overlap import OverlapDetector

        return self._once("overlap", OverlapDetector)

    def whisper(self, directory: str, settings: Transcription) -> "Whisper":
        """Recognises words; `directory` has a CTranslate2 Whisper model."""
        from gscon_live.realtime.listen.whisper import Whisper

        key = ("whisper", directory, msgspec.json.encode(settings))
        return self._once(key, lambda: Whisper(directory, settings))

    def text_encoder(self, directory: str | None) -> "TextEncoder":
        """Encodes words; `directory` has its sentence encoder, None takes the included one."""
        from gscon_live.model.encoders.text.text_encoder import TextEncoder

        return self._once(("text", directory), lambda: TextEncoder(directory))

    def audio_encoder(self) -> "AudioEncoder":
        """Encodes voices."""
        from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder

        return self._once("audio", AudioEncoder)

    def face_encoder(self) -> "FaceEncoder":
        """Encodes faces."""
        from gscon_live.model.encoders.face.face_encoder import FaceEncoder

        return self._once("face", FaceEncoder)

    def face_detector(self, choice: str | None) -> "FaceDetector":
        """Finds faces; `choice` as in the setting `features.face_detector`."""
        from gscon_live.model.encoders.face.face_detector import FaceDetector

        return self._once(("detector", choice), lambda: FaceDetector(choice))

    def checkpoint(self, name: str) -> "Checkpoint":
        """The emotion model, by name or path."""
        from gscon_live.model import checkpoint

        return self._once(("checkpoint", name), lambda: checkpoint.load(name))

    def _once(self, key: Hashable, load: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = load()
        model: T = self._kept[key]
        return model
