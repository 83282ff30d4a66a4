"""Speakers with names: those of a conversation whose voices are enrolled.

    {"format": "gscon.voices/1", "encoder": "...",
     "voices": {"Anna": {"mean": [...], "utterances": 12}}}

is the file of enrolled voices. It is personal data: only its owner may read it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import platformdirs
from numpy.typing import NDArray

from gscon_live.common.errors import Failure, InputError
from gscon_live.common.files import make_private_folder, write_whole
from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfile, VoiceProfiles
from gscon_live.realtime.listen.stored_voice import StoredVoice

#: The value of `speakers.enrolled` for the user's own file.
AUTO = "auto"
_FORMAT: Literal["gscon.voices/1"] = "gscon.voices/1"


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: Literal["gscon.voices/1"]
    encoder: str
    voices: dict[str, StoredVoice]


def voices_file(choice: str) -> Path:
    """The file of enrolled voices: the user's own for `auto`, else the path itself."""
    if choice != AUTO:
        return Path(choice)
    return platformdirs.user_data_path("gscon-live", appauthor=False) / "voices.json"


def read_voices(path: Path, profiles: VoiceProfiles) -> dict[str, VoiceProfile]:
    """The enrolled voices by name, in order.

    Raises:
        InputError: the file is missing, is none, or its voices were made by another version.
    """
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no enrolled voices; enrol one with gscon-live voices add NAME RECORDING"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file of enrolled voices") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a file of enrolled voices ({error}); "
            "make one with gscon-live voices add NAME RECORDING"
        ) from error
    if content.encoder != profiles.identity:
        raise InputError(
            f"{path}: enrolled by another version ({content.encoder}); enrol the voices again"
        )
    voices = {}
    for name, voice in content.voices.items():
        try:
            voices[name] = voice.profile()
        except ValueError as error:
            raise InputError(
                f"{path}: the voice of {name!r} is damaged ({error}); enrol it again"
            ) from error
    return voices


def write_voices(path: Path, profiles: VoiceProfiles, voices: Mapping[str, VoiceProfile]) -> None:
    """Writes the file, readable for its owner alone.

    Raises:
        Failure: it cannot be written; what was there before is left as it was.
    """
    content = _File(
        format=_FORMAT,
        encoder=profiles.identity,
        voices={name: StoredVoice.of(voice) for name, voice in voices.items()},
    )
    try:
        if not path.parent.is_dir():
            make_private_folder(path.parent)
        write_whole(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
        os.chmod(path, 0o600)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; check permissions and space left") from error


class EnrolledNames:
    """Gives speakers the names of enrolled voices.

    An utterance whose voice is surely an enrolled one has that name. So has a speaker of the
    conversation (S1), from the utterance on after which all utterances together are surely of that
    voice. Others keep the conversation's own names. Memory does not grow with the conversation.

    Args:
        enrolled: the voices by name.
        profiles: compares voices.
    """

    def __init__(self, enrolled: Mapping[str, VoiceProfile], profiles: VoiceProfiles) -> None:
        self._enrolled = enrolled
        self._profiles = profiles
        self._heard: dict[str, VoiceProfile] = {}
        self._names: dict[str, str] = {}

    def reset(self) -> None:
        """Forgets all speakers; the enrolled voices stay."""
        self._heard.clear()
        self._names.clear()

    def provisional(self, speaker: str, audio: NDArray[np.float32]) -> str:
        """The name of a speaker after an utterance; the state stays unchanged.

        Args:
            speaker: the conversation's own name.
            audio: the utterance's audio features; they begin with the statistics.
        """
        alone, together = self._voices(speaker, audio)
        name = self._profiles.name(alone, self._enrolled)
        return name or self._named(speaker, together) or speaker

    def final(self, speaker: str, audio: NDArray[np.float32]) -> str:
        """The same for a complete utterance. Its voice is remembered until the speaker has a
        name."""
        alone, together = self._voices(speaker, audio)
        named = self._named(speaker, together)
        if named is None:
            self._heard[speaker] = together
        else:
            self._heard.pop(speaker, None)
            self._names[speaker] = named
        return self._profiles.name(alone, self._enrolled) or named or speaker

    def _named(self, speaker: str, together: VoiceProfile) -> str | None:
        """The name of a speaker, by all utterances."""
        return self._names.get(speaker) or self._profiles.name(together, self._enrolled)

    def _voices(
        self, speaker: str, audio: NDArray[np.float32]
    ) -> tuple[VoiceProfile, VoiceProfile]:
        """The voice of an utterance, and that of all of its speaker's that are remembered."""
        alone = self._profiles.profile([audio])
        before = self._heard.get(speaker)
        return alone, alone if before is None else before.joined(alone)


def enrolled_names(choice: str | None) -> EnrolledNames | None:
    """What gives speakers their names; `choice` is as in the setting `speakers.enrolled`.

    Raises:
        InputError: the file of voices is missing, or cannot be used.
    """
    if choice is None:
        return None
    profiles = VoiceProfiles()
    return EnrolledNames(read_voices(voices_file(choice), profiles), profiles)
