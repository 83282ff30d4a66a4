"""A track or a channel for each speaker: what is in it, when, and whose it is."""

from pathlib import Path

import av
import numpy as np
import pytest
from made_media import RATE, channels, click, make, make_sounds, only, replay

from gscon_live.common.errors import InputError
from gscon_live.realtime.pipeline.messages import AudioChunk, Cue, Dropped, Mark
from gscon_live.realtime.pipeline.settings import Recording


def clicks(samples: np.ndarray) -> list[float]:
    """When the loud clicks of a channel begin."""
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    return [loud[0] / RATE, *(loud[1:][np.diff(loud) > 800] / RATE)] if len(loud) else []


def wide(seconds: float, *times: list[float], rate: int = RATE) -> np.ndarray:
    """A channel for each list of clicks."""
    return np.stack([click(seconds, own, rate) for own in times])


def test_each_channel_keeps_its_own_sound(tmp_path: Path) -> None:
    path = make_sounds(tmp_path / "call.wav", [wide(3, [1.0], [2.0])])
    source, messages = replay(path, speakers_from="channels")
    sound = channels(messages)
    assert source.speakers == ["S1", "S2"]
    assert [clicks(own) for own in sound] == [[1.0], [2.0]]
    assert np.abs(sound - wide(3, [1.0], [2.0])).max() < 2 / 32768
    assert replay(path, speakers_from="channels")[1] == messages


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.flac", "flac")])
def test_eight_channels_at_another_rate(tmp_path: Path, name: str, codec: str) -> None:
    times = [[0.5 + number / 4] for number in range(8)]
    path = make_sounds(tmp_path / name, [wide(3, *times, rate=48_000)], rates=[48_000], codec=codec)
    source, messages = replay(path, speakers_from="channels")
    assert source.speakers == [f"S{number}" for number in range(1, 9)]
    for own, expected in zip(channels(messages), times, strict=True):
        assert clicks(own) == pytest.approx(expected, abs=0.002)


def test_tracks_have_rates_starts_and_ends_of_their_own(tmp_path: Path) -> None:
    path = make_sounds(
        tmp_path / "meeting.mkv",
        [click(4, [1.5])[None], click(2, [1.0], 48_000)[None], wide(1, [0.5], [0.5], rate=44_100)],
        rates=[RATE, 48_000, 44_100],
        starts=[0.0, 1.0, 2.5],
    )
    source, messages = replay(path, speakers_from="tracks")
    sound = channels(messages)
    assert sound.shape[0] == 3
    assert sound.shape[1] / RATE == pytest.approx(4, abs=0.01)
    for own, expected in zip(sound, [1.5, 2.0, 3.0], strict=True):
        assert clicks(own) == pytest.approx([expected], abs=0.002)
    # Where a track has no sound, it is silent.
    assert not sound[1, : round(0.9 * RATE)].any()
    assert not sound[1, round(3.1 * RATE) :].any()
    assert source.speakers == ["S1", "S2", "S3"]
    assert not only(messages, Dropped)
    assert replay(path, speakers_from="tracks")[1] == messages


def test_a_hole_in_a_track_is_silence(tmp_path: Path) -> None:
    broken = click(40, [5.0, 35.0])
    broken[10 * RATE : 30 * RATE] = np.nan
    path = make_sounds(tmp_path / "hole.mkv", [click(40, [20.0])[None], broken[None]])
    _, messages = replay(path, speakers_from="tracks")
    sound = channels(messages)
    assert clicks(sound[0]) == [20.0]
    assert clicks(sound[1]) == pytest.approx([5.0, 35.0], abs=0.001)
    assert not sound[1, 11 * RATE : 29 * RATE].any()


def test_a_track_without_sound_is_silent_and_nothing_waits_for_it(tmp_path: Path) -> None:
    path = make_sounds(tmp_path / "a.mkv", [click(4, [1.0])[None], np.zeros((1, 0), np.float32)])
    _, messages = replay(path, speakers_from="tracks")
    sound = channels(messages)
    assert clicks(sound[0]) == [1.0]
    assert not sound[1].any()
    first = next(n for n, message in enumerate(messages) if isinstance(message, AudioChunk))
    assert first < len(messages) / 2


def test_pictures_captions_and_marks_come_as_with_one_track(tmp_path: Path) -> None:
    path = make(
        tmp_path / "talk.mkv",
        video=[n / 25 for n in range(100)],
        audio=[click(4, [1.0]), click(4, [2.0])],
    )
    path.with_suffix(".vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHello.\n")
    source, messages = replay(path, speakers_from="tracks", captions="auto")
    assert source.has_video
    assert [clicks(own) for own in channels(messages)] == [[1.0], [2.0]]
    times = [mark.time for mark in only(messages, Mark)]
    assert np.diff([0.0, *times]).max() <= 0.5 + 1e-9
    (cue,) = only(messages, Cue)
    place = messages.index(cue)
    assert all(chunk.time < cue.start for chunk in only(messages[:place], AudioChunk))


def names(path: Path, *tags: dict[str, str]) -> list[str]:
    made = make_sounds(path, [click(1)[None] for _ in tags], titles=tags)
    return replay(made, speakers_from="tracks")[0].speakers


def test_tracks_are_named_by_their_titles(tmp_path: Path) -> None:
    ada, ben = {"title": "Ada Lovelace"}, {"title": "\u200e王芳 "}
    assert names(tmp_path / "a.mkv", ada, ben) == ["Ada Lovelace", "王芳"]
    # No name, and one that is there already, ignoring case.
    sentence = {"title": "this is a recording of our call, and no name"}
    assert names(tmp_path / "b.mkv", sentence, {}) == ["S1", "S2"]
    assert names(tmp_path / "c.mkv", ada, {"title": "ada lovelace"}) == ["Ada Lovelace", "S2"]


def test_what_programs_write_is_nobodys_name(tmp_path: Path) -> None:
    path = make_sounds(tmp_path / "a.mov", [click(1)[None], click(1)[None]])
    with av.open(str(path)) as container:
        assert "handler_name" in container.streams.audio[0].metadata  # FFmpeg's SoundHandler
    assert replay(path, speakers_from="tracks")[0].speakers == ["S1", "S2"]


@pytest.mark.parametrize(
    ("source", "tracks", "wide", "says"),
    [
        ("tracks", 1, 1, "a single audio track; give speakers.from=voices"),
        ("tracks", 1, 2, "a single audio track; give speakers.from=channels"),
        ("channels", 1, 1, "a single channel; give speakers.from=voices"),
        ("channels", 2, 1, "a single channel; give speakers.from=tracks"),
    ],
)
def test_one_speaker_is_refused_with_what_helps(
    tmp_path: Path, source: str, tracks: int, wide: int, says: str
) -> None:
    path = make_sounds(tmp_path / "a.mkv", [np.zeros((wide, RATE), np.float32)] * tracks)
    with pytest.raises(InputError, match=says):
        replay(path, speakers_from=source)


@pytest.mark.parametrize("source", ["tracks", "channels"])
def test_pictures_alone_are_refused(tmp_path: Path, source: str) -> None:
    path = make(tmp_path / "a.mkv", video=[0.0, 0.04])
    with pytest.raises(InputError, match=f"speakers.from={source}, but it has no .*=voices"):
        replay(path, speakers_from=source)


def test_one_of_the_tracks_and_all_of_them_is_refused(tmp_path: Path) -> None:
    path = make_sounds(tmp_path / "a.mkv", [click(1)[None], click(1)[None]])
    with pytest.raises(InputError, match=r"recording\.audio_track takes one of them"):
        replay(path, Recording(audio_track=1), speakers_from="tracks")
    stereo = [click(1)[None], wide(1, [0.3], [0.6])]
    path = make_sounds(tmp_path / "b.mkv", stereo)
    _, messages = replay(path, Recording(audio_track=1), speakers_from="channels")
    assert [clicks(own) for own in channels(messages)] == [[0.3], [0.6]]


def test_tracks_that_lie_far_apart_in_the_file_are_refused(tmp_path: Path) -> None:
    long = np.zeros((1, 8000 * 700), np.float32)
    path = make_sounds(tmp_path / "a.mkv", [long, long], rates=[8000, 8000], interleaved=False)
    with pytest.raises(InputError, match="10 minutes apart in the file; write it anew with ffmpeg"):
        replay(path, speakers_from="tracks")


@pytest.mark.fault
def test_channels_that_only_a_later_part_has_are_said_to_be_left_out(tmp_path: Path) -> None:
    """Joined recordings of which a later one has more channels, with `speakers.from=channels`: the
    first ones are read on, and a gap says that the others are not."""
    few, many = wide(3, *[[1.0]] * 2, rate=48_000), wide(3, *[[1.0]] * 4, rate=48_000)
    parts = [
        make_sounds(tmp_path / f"{len(sound)}.ac3", [sound], rates=[48_000], codec="ac3")
        for sound in (few, many)
    ]
    path = tmp_path / "joined.ac3"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    _, messages = replay(path, speakers_from="channels")
    assert len(channels(messages)) == 2
    (gap,) = only(messages, Dropped)
    assert gap.time == pytest.approx(3, abs=0.05)
    assert "has 4 channels from here on, of which 2 are read" in gap.reason
    # Mixed to one, nothing is left out.
    assert not only(replay(path)[1], Dropped)
