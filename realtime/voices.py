"""`gscon-live voices`: voices that have names, kept on this machine and only when asked."""

import argparse
import re
from collections import Counter
from collections.abc import Sequence
from functools import reduce

from gscon_live.common import extras, signals

signals.exit_at_once_in(__name__)
extras.require("live", __name__)

import msgspec

from gscon_live.common import cli
from gscon_live.common.errors import InputError
from gscon_live.common.suggestions import did_you_mean
from gscon_live.configs import loader
from gscon_live.model.encoders.speaker.voice_profiles import VoiceProfile, VoiceProfiles
from gscon_live.realtime.display.terminal import Notices
from gscon_live.realtime.events.in_words import without_controls
from gscon_live.realtime.listen.enrolled_speakers import (
    AUTO,
    read_voices,
    voices_file,
    write_voices,
)
from gscon_live.realtime.listen.heard_voices import voice_in
from gscon_live.realtime.pipeline.settings import Settings
from gscon_live.realtime.session.inline import replay_inline
from gscon_live.realtime.session.model_info import model_info
from gscon_live.realtime.session.models import Models
from gscon_live.realtime.session.recorded import open_recording, plan_of

EXAMPLES = """
gscon-live voices add Anna anna.wav
gscon-live voices list
gscon-live voices remove Anna
gscon-live replay talk.mp4 speakers.enrolled=auto
"""
#: A voice takes at least so many utterances, with pauses between them.
LEAST = 3
#: From this share of the utterances on, a second voice is somebody else's.
_SECOND = 0.25
_LONGEST_NAME = 60
#: Names that a conversation gives by itself.
_OWN = re.compile(r"S\d+")


def main(arguments: Sequence[str]) -> int:
    """Entry point; returns 0.

    Raises:
        InputError: the name, the recording or the file of voices cannot be used.
        Failure: the file cannot be written.
    """
    chosen = _parser().parse_args(arguments)
    signals.raise_interrupts()
    path = voices_file(chosen.file)
    profiles = VoiceProfiles()
    voices = read_voices(path, profiles) if path.exists() else {}
    if chosen.action == "list":
        for name, voice in voices.items():
            print(f"{name}: {voice.utterances} utterances")
        print(f"{len(voices)} {'voice' if len(voices) == 1 else 'voices'} in {path}")
        return cli.OK
    if chosen.action == "remove":
        if chosen.name not in voices:
            raise InputError(
                f"{chosen.name!r}: not enrolled in {path}; {did_you_mean(chosen.name, voices)}"
                "gscon-live voices list shows the names"
            )
        del voices[chosen.name]
        write_voices(path, profiles, voices)
        print(f"removed {chosen.name} from {path}")
        return cli.OK
    name = _checked(chosen.name)
    settings, models = loader.load("live", Settings, ["transcription.transcriber=off"]), Models()
    heard = [_voice_of(path, settings, models, profiles) for path in chosen.recordings]
    voice = reduce(VoiceProfile.joined, heard)
    resembles = profiles.name(voice, {key: own for key, own in voices.items() if key != name})
    if resembles is not None:
        Notices().say(f"{name} sounds like {resembles}, so the two may be mixed up")
    voices[name] = voices[name].joined(voice) if name in voices else voice
    write_voices(path, profiles, voices)
    print(f"{name}: {voices[name].utterances} utterances in {path}")
    return cli.OK


def _parser() -> argparse.ArgumentParser:
    parser = cli.parser(
        "gscon-live voices",
        "Keeps the voices of people who agree, so that they have their names in the events. With "
        "speakers.enrolled=auto, a session knows them.",
        EXAMPLES,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|list|remove")
    add = actions.add_parser("add", help="enrol a voice, or add recordings to it")
    add.add_argument("name", metavar="NAME")
    add.add_argument(
        "recordings",
        nargs="+",
        metavar="RECORDING",
        help=f"a recording in which this person alone speaks, at least {LEAST} utterances",
    )
    remove = actions.add_parser("remove", help="forget a voice")
    remove.add_argument("name", metavar="NAME")
    listing = actions.add_parser("list", help="the names")
    for action in (add, remove, listing):
        action.add_argument(
            "--file",
            default=AUTO,
            metavar="PATH",
            help="the file of voices (default: that in the user's data folder)",
        )
    return parser


def _checked(name: str) -> str:
    """A name as it is in the events."""
    cleaned = " ".join(without_controls(name).split())
    if not cleaned or len(cleaned) > _LONGEST_NAME:
        raise InputError(f"{name!r}: give a name of 1 to {_LONGEST_NAME} characters")
    if _OWN.fullmatch(cleaned):
        raise InputError(
            f"{name!r}: people without an enrolled voice are called so; give another name"
        )
    return cleaned


def _voice_of(
    recording: str, settings: Settings, models: Models, profiles: VoiceProfiles
) -> VoiceProfile:
    """The profile of the one person who speaks in a recording."""
    opened = open_recording(recording, settings, "off", Notices())
    plan, _ = plan_of(opened, settings, None, Notices(quiet=True))
    heard: list[VoiceProfile] = []

    def listen(message: object) -> None:
        spoken = voice_in(message, profiles)
        if spoken is not None:
            heard.append(spoken[1])

    replay_inline(
        msgspec.structs.replace(plan, has_video=False),
        [],
        models,
        model=model_info(settings.recognition),
        source=recording,
        on_message=listen,
    )
    if len(heard) < LEAST:
        raise InputError(
            f"{recording}: has {len(heard)} utterances; a voice takes at least {LEAST}, with pauses"
        )
    _, *others = Counter(profiles.people(heard, limit=0.0)).most_common()
    if others and others[0][1] >= _SECOND * len(heard):
        raise InputError(
            f"{recording}: more than one person seems to speak; give a recording in which only "
            "this person speaks, calmly"
        )
    return reduce(VoiceProfile.joined, heard)


if __name__ == "__main__":
    cli.program(main)
