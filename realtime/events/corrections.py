"""Corrections by people: names of speakers and labels of emotions, in a file beside the events.

`talk.jsonl` has its corrections in `talk.corrections.json`; the events themselves never change.

```json
{
  "schema": "gscon.corrections/1",
  "sessions": {
    "9f2c61d0a7b84e35": {
      "speakers": {"S1": "Ada"},
      "utterances": {"5": {"label": "joy", "speaker": "Ben"}}
    }
  }
}
```

Keys are those of the events: `session`, `utterance.speaker` and `utterance.id`. A speaker's new
name is used for all of its utterances. The speaker of a single utterance goes first, and is a new
name already.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gscon_live.common.errors import InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events.schema import AnyEvent, Provisional, UtteranceEvent

SCHEMA: Literal["gscon.corrections/1"] = "gscon.corrections/1"
#: The ending of the file, in place of that of the events.
ENDING = ".corrections.json"

#: What the commands say of their option.
HELP = "what people corrected (default: the file beside the events, if there is one)"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Utterance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person says of an utterance; None leaves it as it is."""

    label: str | None = None
    speaker: Name | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The corrections of a session: new names by old ones, and utterances by their number."""

    speakers: dict[str, Name] = msgspec.field(default_factory=dict)
    utterances: dict[int, Utterance] = msgspec.field(default_factory=dict)


class Corrections(msgspec.Struct, frozen=True, kw_only=True):
    """A file of corrections, by session."""

    schema: Literal["gscon.corrections/1"] = SCHEMA
    sessions: dict[str, Session] = msgspec.field(default_factory=dict)

    def of(self, session: str, utterance: int, speaker: str) -> Utterance:
        """What a person says of an utterance whose speaker was recognised as `speaker`."""
        own = self.sessions.get(session, Session())
        correction = own.utterances.get(utterance, Utterance())
        if correction.speaker is None and speaker in own.speakers:
            return msgspec.structs.replace(correction, speaker=own.speakers[speaker])
        return correction

    def joined(self, newer: "Corrections") -> "Corrections":
        """These and newer ones; of two for an utterance or a speaker, the newer one holds."""
        sessions = dict(self.sessions)
        for name, session in newer.sessions.items():
            before = sessions.get(name, Session())
            sessions[name] = Session(
                speakers={**before.speakers, **session.speakers},
                utterances={**before.utterances, **session.utterances},
            )
        return Corrections(sessions=sessions)


def path_for(events: Path) -> Path:
    """Where the corrections of a file of events lie."""
    return events.with_suffix(ENDING)


def read(path: Path) -> Corrections:
    """Reads a file of corrections.

    Raises:
        InputError: it cannot be read, is no such file, or has an unknown label.
    """
    try:
        corrections = msgspec.json.decode(path.read_bytes(), type=Corrections)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file of corrections") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"{path}: no corrections of {SCHEMA} ({error}); save them from a report"
        ) from error
    for name, session in corrections.sessions.items():
        for number, utterance in session.utterances.items():
            check_label(utterance.label, f"{path}: session {name}, utterance {number}")
    return corrections


def check_label(label: str | None, where: str) -> None:
    """Raises `InputError` for a label that is none of the seven."""
    if label is not None and label not in EMOTIONS:
        raise InputError(f"{where}: label {label!r} is unknown; give one of {', '.join(EMOTIONS)}")


def beside(events: Path) -> Corrections:
    """The corrections beside a file of events; none where there is no such file."""
    path = path_for(events)
    return read(path) if path.is_file() else Corrections()


def chosen(events: Path, choice: str | None) -> tuple[Corrections, Path | None]:
    """The corrections that a command uses, with their file.

    Args:
        events: the file of events.
        choice: a file of corrections, "off" for none, None for those beside the events.

    Raises:
        InputError: the file is missing where it was named, or is no such file.
    """
    if choice == "off":
        return Corrections(), None
    path = path_for(events) if choice is None else Path(choice)
    if choice is None and not path.is_file():
        return Corrections(), None
    return read(path), path


def encode(corrections: Corrections) -> bytes:
    """The corrections as a file."""
    return msgspec.json.format(msgspec.json.encode(corrections), indent=2) + b"\n"


def corrected(events: Iterable[AnyEvent], corrections: Corrections) -> Iterator[AnyEvent]:
    """The events as corrected. A corrected label has the confidence that the model gave to it, does
    not count as abstained, and `emotion.model_label` keeps the model's own."""
    for event in events:
        if isinstance(event, (UtteranceEvent, Provisional)):
            utterance = event.utterance
            own = corrections.of(event.session, utterance.id, utterance.speaker)
            yield _corrected(event, own)
        else:
            yield event


def _corrected(event: UtteranceEvent | Provisional, own: Utterance) -> UtteranceEvent | Provisional:
    speaker, emotion = own.speaker or event.utterance.speaker, event.emotion
    if own.label is not None and own.label != emotion.label:
        emotion = msgspec.structs.replace(
            emotion,
            label=own.label,
            confidence=emotion.probabilities.get(own.label, 0.0),
            abstained=False,
            model_label=emotion.model_label or emotion.label,
        )
    elif own.label is not None:
        emotion = msgspec.structs.replace(emotion, abstained=False, model_label=own.label)
    utterance = msgspec.structs.replace(event.utterance, speaker=speaker)
    return msgspec.structs.replace(event, utterance=utterance, emotion=emotion)
