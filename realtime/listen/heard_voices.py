"""The voices of a recording's speakers, collected from the messages of its replay."""

import numpy as np

from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfile, VoiceProfiles
from gscon_live.realtime.pipeline import messages


class HeardVoices:
    """Listens to a replay, and keeps a profile of each speaker's voice.

    Args:
        profiles: makes them.
    """

    def __init__(self, profiles: VoiceProfiles) -> None:
        self._profiles = profiles
        self._heard: dict[str, VoiceProfile] = {}

    @property
    def by_speaker(self) -> dict[str, VoiceProfile]:
        """The profiles by speaker, as in the events, in order of appearance."""
        return dict(self._heard)

    def take(self, message: object) -> None:
        """Takes any message of the pipeline, in order."""
        spoken = voice_in(message, self._profiles)
        if spoken is None:
            return
        name, profile = spoken
        before = self._heard.get(name)
        self._heard[name] = profile if before is None else before.joined(profile)


def voice_in(message: object, profiles: VoiceProfiles) -> tuple[str, VoiceProfile] | None:
    """The speaker and the voice of a complete utterance; None for messages without one."""
    if not isinstance(message, messages.Utterance) or not message.final:
        return None
    if message.audio_features is None:
        return None
    audio = np.frombuffer(message.audio_features, np.float32)
    return message.speaker or messages.UNNAMED, profiles.profile([audio])
