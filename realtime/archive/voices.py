"""The voices of an archive's speakers, and who is who over its recordings.

With `--people`, a replay also keeps a profile of each speaker's voice. They are personal data, and
stay in the archive's own folder: DIR/voices/NAME-KEY-VERSION/voices.json.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfile, VoiceProfiles
from gscon_live.realtime.archive.store import VOICES_FILE, Archive, voices_name
from gscon_live.realtime.events.schema import AnyEvent
from gscon_live.realtime.listen.heard_voices import HeardVoices
from gscon_live.realtime.listen.stored_voice import StoredVoice

#: A speaker of a recording: its folder and the speaker's name there.
Speaker = tuple[str, str]


class Voices:
    """Listens to the replay of a recording, and writes `voices.json`.

    Args:
        folder: where it is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heard = HeardVoices(VoiceProfiles())

    def take(self, message: object) -> None:
        """Takes any message of the pipeline, in order."""
        self._heard.take(message)

    def write(self, events: Sequence[AnyEvent]) -> None:
        """Writes the file."""
        voices = {name: StoredVoice.of(voice) for name, voice in self._heard.by_speaker.items()}
        (self._folder / VOICES_FILE).write_bytes(msgspec.json.encode(voices) + b"\n")

    def close(self) -> None:
        """Has nothing open."""


def people(archive: Archive) -> dict[Speaker, str]:
    """Who each speaker of the recordings is: P1, P2, ..., in the order of the recordings' paths and
    of appearance. Speakers whose voices are not there are left out.

    Raises:
        InputError: a file of voices is damaged.
    """
    speakers: list[Speaker] = []
    voices: list[VoiceProfile] = []
    for _, entry in sorted(archive.done.items()):
        path = archive.voices.path / voices_name(entry.folder) / VOICES_FILE
        if not path.is_file():
            continue
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=dict[str, StoredVoice])
            own = {name: voice.profile() for name, voice in stored.items()}
        except (msgspec.DecodeError, ValueError, OSError) as error:
            raise InputError(f"{path}: is damaged ({error}); delete its folder") from error
        speakers += [(entry.folder, name) for name in own]
        voices += own.values()
    if not voices:
        return {}
    numbers = VoiceProfiles().people(voices)
    return {speaker: f"P{number + 1}" for speaker, number in zip(speakers, numbers, strict=True)}
