"""What people say of utterances after the fact: labels and speakers, by session and utterance.

A file of corrections is JSON:

    {"format": "gscon.corrections/1",
     "sessions": {"9f2c…": {"speakers": {"S1": "Ada"},
                            "utterances": {"5": {"label": "joy", "speaker": "Ben"}}}}}

`speakers` renames a speaker in all utterances of the session; an utterance's own `speaker` goes
first. Events are never changed: tables have what people say in columns of their own.
"""

from pathlib import Path
from typing import Literal

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS

FORMAT: Literal["gscon.corrections/1"] = "gscon.corrections/1"


class UtteranceCorrection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What people say of an utterance; None where they say nothing. `label` is one of the seven
    emotions."""

    label: str | None = None
    speaker: str | None = None


class SessionCorrections(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Those of a session: new names by speaker, and corrections by the utterance's number."""

    speakers: dict[str, str] = {}
    utterances: dict[int, UtteranceCorrection] = {}


class Corrections(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a file of corrections, by session."""

    format: Literal["gscon.corrections/1"] = FORMAT
    sessions: dict[str, SessionCorrections] = {}

    def of(self, session: str, utterance: int, speaker: str) -> UtteranceCorrection:
        """What people say of an utterance whose speaker was recognised as `speaker`."""
        own = self.sessions.get(session, SessionCorrections())
        correction = own.utterances.get(utterance, UtteranceCorrection())
        if correction.speaker is None and speaker in own.speakers:
            return msgspec.structs.replace(correction, speaker=own.speakers[speaker])
        return correction

    def joined(self, newer: "Corrections") -> "Corrections":
        """These and newer ones; of two for an utterance or a speaker, the newer one holds."""
        sessions = dict(self.sessions)
        for name, session in newer.sessions.items():
            before = sessions.get(name, SessionCorrections())
            sessions[name] = SessionCorrections(
                speakers={**before.speakers, **session.speakers},
                utterances={**before.utterances, **session.utterances},
            )
        return Corrections(sessions=sessions)

    def encoded(self) -> bytes:
        """The file's content."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def read(path: Path) -> Corrections:
    """The corrections in a file.

    Raises:
        InputError: it cannot be read, is no file of corrections, or has a label that is none.
    """
    try:
        corrections = msgspec.json.decode(path.read_bytes(), type=Corrections)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file of corrections") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: no file of {FORMAT} ({error}); correct it") from error
    for name, session in corrections.sessions.items():
        for number, correction in session.utterances.items():
            check_label(correction.label, f"{path}: session {name}, utterance {number}")
    return corrections


def check_label(label: str | None, where: str) -> None:
    """Raises `InputError` for a label that is none of the seven."""
    if label is not None and label not in EMOTIONS:
        raise InputError(f"{where}: label {label!r} is unknown; give one of {', '.join(EMOTIONS)}")
