"""Events in words: as a line on a terminal, in a report or in captions."""

from gscon_live.model.labels import MODALITIES
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent, Modality, Provisional, UtteranceEvent


def short_answer(event: UtteranceEvent | Provisional) -> str:
    """The answer in short: `joy 71 %`, or `joy? 31 %` where the recogniser abstained."""
    emotion = event.emotion
    doubt = "?" if emotion.abstained else ""
    return f"{emotion.label}{doubt} {round(emotion.confidence * 100)} %"


def describe(event: AnyEvent) -> str:
    """Any event as one readable line, safe to print on a terminal."""
    return printable(_sentence(event))


def missing_modalities(event: UtteranceEvent | Provisional) -> list[tuple[str, str]]:
    """Names of the missing modalities, with the reasons."""
    opinions: dict[str, Modality] = {name: getattr(event.modalities, name) for name in MODALITIES}
    return [
        (name, opinion.reason or "not available")
        for name, opinion in opinions.items()
        if not opinion.present
    ]


def _sentence(event: AnyEvent) -> str:
    if isinstance(event, (UtteranceEvent, Provisional)):
        utterance = event.utterance
        times = f"{clock(utterance.start)}-{clock(utterance.end)}"
        more = " …" if isinstance(event, Provisional) else ""
        reasons = "".join(f"  [no {name}: {reason}]" for name, reason in missing_modalities(event))
        text = event.modalities.text
        reasons += f"  [{text.left_out}]" if text.present and text.left_out else ""
        left_out = event.modalities.visual.faces_left_out
        reasons += f"  [{left_out} more faces in view, not compared]" if left_out else ""
        return (
            f"{times}  {utterance.speaker:<8} {short_answer(event):<14} "
            f"{utterance.text or '(no words)'}{more}{reasons}"
        )
    if isinstance(event, schema.SessionStarted):
        model = f"{event.model.name} {event.model.version}"
        return f"session {event.session} started: {event.source}, model {model}"
    if isinstance(event, schema.SessionEnded):
        early = "" if event.complete else ", stopped before its end"
        return f"session ended after {event.duration:.1f} s: {event.utterances} utterances{early}"
    if isinstance(event, schema.SpeechStarted):
        return f"{clock(event.start)}  speech started"
    if isinstance(event, schema.Gap):
        return f"{clock(event.time)}  gap: {lost(event)}"
    if isinstance(event, schema.FaceEvent):
        speaking = [str(face.track) for face in event.faces if face.speaks]
        more = f", face {speaking[0]} speaks" if speaking else ""
        return f"{clock(event.time)}  faces in view: {len(event.faces)}{more}"
    return f"{clock(event.time)}  health: {event.stage} {event.status} ({event.detail})"


#: How a loss of each kind is named: one of it, and several.
_LOST = {
    "frames": ("picture", "pictures"),
    "utterance": ("utterance", "utterances"),
    "caption": ("caption", "captions"),
    "events": ("event", "events"),
}


def lost(gap: schema.Gap) -> str:
    """What a gap says in words: "26 pictures lost (2.60 s): the computer is busy".

    Sound is measured in seconds. Where nothing was counted or measured, it is the reason alone.
    """
    if gap.what == "audio":
        amount = f"{gap.seconds:.2f} s of sound lost" if gap.seconds or gap.count else ""
        if not gap.seconds and gap.count:
            amount = "sound lost"
    elif gap.count:
        singular, plural = _LOST[gap.what]
        length = f" ({gap.seconds:.2f} s)" if gap.seconds else ""
        amount = f"{gap.count} {singular if gap.count == 1 else plural} lost{length}"
    else:
        amount = f"{gap.seconds:.2f} s of {_LOST[gap.what][1]} lost" if gap.seconds else ""
    return f"{amount}: {gap.reason}" if amount else gap.reason


def clock(seconds: float) -> str:
    """Media time as mm:ss.cc, from an hour on as h:mm:ss.cc."""
    minutes, hundredths = divmod(round(seconds * 100), 6000)
    hours, minutes = divmod(minutes, 60)
    below_hour = f"{minutes:02}:{hundredths // 100:02}.{hundredths % 100:02}"
    return f"{hours}:{below_hour}" if hours else below_hour


#: Invisible signs that belong to words: soft hyphen, joiners, and marks of direction.
_SIGNS = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060"


def printable(line: str) -> str:
    """A line without control characters, which words from a file could send to the terminal."""
    return "".join(
        char if char.isprintable() or char in _SIGNS else "\N{REPLACEMENT CHARACTER}"
        for char in line
    )


#: Control characters: line ends and tabs become spaces, others a replacement character.
_CONTROLS = {
    **dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}"),
    **dict.fromkeys(map(ord, "\t\n\v\f\r\x85"), " "),
}


def without_controls(words: str) -> str:
    """Words without control characters, for data: everything else stays, unlike `printable`."""
    return words.translate(_CONTROLS)
