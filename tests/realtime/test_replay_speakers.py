"""Replays of recordings with a track or a channel for each speaker, by the command."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_media import RATE, make_sounds, replay, sound
from sessions import CONVERSATION, run

from gscon_live.realtime.sample import CONVERSATION as SAMPLE


def halves() -> np.ndarray:
    """The first 24 seconds of the sample conversation, the second half beside the first."""
    _, messages = replay(SAMPLE, want_video=False)
    half = 12 * RATE
    return sound(messages)[: 2 * half].reshape(2, half)


def events_of(path: Path, folder: Path, *words: str) -> tuple[bytes, list[dict[str, Any]]]:
    out = folder / "events.jsonl"
    done = run("gscon_live.realtime.replay", path, "--events", out, "--quiet",
               "--transcriber", "off", *words)  # fmt: skip
    assert done.returncode == 0, done.stderr
    raw = out.read_bytes()
    out.unlink()
    events = [json.loads(line) for line in raw.splitlines()]
    return raw, [event for event in events if event["type"] == "utterance"]


def test_two_who_speak_at_once_on_tracks_and_on_channels(tmp_path: Path) -> None:
    both = halves()
    call = make_sounds(tmp_path / "call.wav", [both])
    titles = [{"title": "Ada"}, {"title": "Ben"}]
    meeting = make_sounds(tmp_path / "meeting.mkv", list(both[:, None]), titles=titles)
    raw, on_channels = events_of(call, tmp_path, "speakers.from=channels")
    assert events_of(call, tmp_path, "speakers.from=channels")[0] == raw
    _, on_tracks = events_of(meeting, tmp_path, "speakers.from=tracks")
    for found, names in ((on_channels, {"S1", "S2"}), (on_tracks, {"Ada", "Ben"})):
        assert {event["utterance"]["speaker"] for event in found} == names
        ends = [event["utterance"]["end"] for event in found]
        assert ends == sorted(ends)
        assert sum(event["utterance"]["overlap"] for event in found) > 2
    assert [(e["utterance"]["start"], e["utterance"]["end"]) for e in on_tracks] == [
        (e["utterance"]["start"], e["utterance"]["end"]) for e in on_channels
    ]


def test_captions_give_the_turns_and_tracks_the_speakers_without_a_name(tmp_path: Path) -> None:
    both = halves()
    quiet = 0.05 * both
    quiet[0, : 6 * RATE], quiet[1, 6 * RATE :] = both[0, : 6 * RATE], both[1, 6 * RATE :]
    path = make_sounds(tmp_path / "a.mkv", list(quiet[:, None]))
    path.with_suffix(".vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:03.000\nOne.\n\n00:07.000 --> 00:09.000\nTwo.\n\n"
        "00:09.500 --> 00:11.000\n<v Cleo>Three.\n",
        encoding="utf-8",
    )
    done = run("gscon_live.realtime.replay", path, "--events", tmp_path / "o.jsonl",
               "speakers.from=tracks")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "utterances and their words are those of its captions" in done.stderr
    lines = (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()
    told = [e["utterance"] for e in map(json.loads, lines) if e["type"] == "utterance"]
    assert [(one["speaker"], one["text"]) for one in told] == [
        ("S1", "One."),
        ("S2", "Two."),
        ("Cleo", "Three."),
    ]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("speakers.from=tracks", "a single audio track"),
        ("speakers.from=channels", "a single channel"),
        ("speakers.from=mouths", "speakers.from=mouths"),
        ("speakers.source=tracks", "did you mean speakers.from"),
    ],
)
def test_wrong_requests_are_one_line(word: str, says: str) -> None:
    done = run("gscon_live.realtime.replay", CONVERSATION, "--quiet", word)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert done.stdout == ""
