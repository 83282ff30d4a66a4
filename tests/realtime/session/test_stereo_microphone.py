"""A live session with a microphone for each speaker, on the two channels of one real device."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from devices import VirtualMicrophone, microphone_of_workers
from sessions import Play, settings, utterances
from sound import recorded

from gscon_live.realtime.listen.transcription_source import Words
from gscon_live.realtime.sample import CONVERSATION
from gscon_live.realtime.session.session_plan import Plan

RATE, SECONDS = 16_000, 12


@pytest.fixture
def stereo() -> Iterator[VirtualMicrophone]:
    with microphone_of_workers(channels=2) as made:
        yield made


def test_two_who_speak_at_once_on_a_stereo_microphone(stereo: VirtualMicrophone) -> None:
    chosen = settings("speakers.from=channels", "microphone.channels=2")
    play = Play(
        Plan(
            session="s", settings=chosen, live=True, words=Words(), has_audio=True,
            has_video=False, microphone=True, camera=False, speakers=("S1", "S2"),
        )
    )  # fmt: skip
    both = recorded(CONVERSATION)[: 2 * SECONDS * RATE].reshape(2, -1)
    play.at(0.5, lambda: stereo.play(both))
    play.at(SECONDS + 3.0, lambda: play.session.stop())
    assert play.go()
    found = [event.utterance for event in utterances(play.events)]
    assert {one.speaker for one in found} == {"S1", "S2"}
    assert sum(one.overlap or 0.0 for one in found) > 2
    for speaker in ("S1", "S2"):
        own = [one for one in found if one.speaker == speaker]
        assert all(first.end <= later.start for first, later in pairwise(own))
