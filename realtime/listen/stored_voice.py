"""A profile of a voice, as files have it."""

import msgspec
import numpy as np

from gscon_live.model.encoders.speaker.voice_profiles import DIRECTIONS, VoiceProfile


class StoredVoice(msgspec.Struct, frozen=True):
    """The mean place of a voice's utterances in the space of profiles, and their number."""

    mean: list[float]
    utterances: int

    @classmethod
    def of(cls, profile: VoiceProfile) -> "StoredVoice":
        """A profile, with six digits after the point."""
        return cls([round(float(place), 6) for place in profile.mean], profile.utterances)

    def profile(self) -> VoiceProfile:
        """The profile. Raises `ValueError` where it cannot be one."""
        mean = np.array(self.mean, np.float64)
        if mean.shape != (DIRECTIONS,) or not np.isfinite(mean).all() or self.utterances < 1:
            raise ValueError(f"expected {DIRECTIONS} numbers, and utterances")
        return VoiceProfile(mean, self.utterances)
