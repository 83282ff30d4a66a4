"""The sample conversation is what its README says, and can be made again."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from gscon_live.common import cli
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime import sample
from gscon_live.realtime.sample import faces, make

Cue = tuple[float, float, str]


@pytest.fixture(scope="module")
def cues() -> list[Cue]:
    with av.open(str(sample.CONVERSATION)) as media:
        return [
            (
                float(packet.pts * packet.time_base),
                float((packet.pts + packet.duration) * packet.time_base),
                bytes(packet).decode(),
            )
            for packet in media.demux(media.streams.subtitles[0])
            if packet.size
        ]


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    resampler = av.AudioResampler("flt", "mono", 16_000)
    with av.open(str(sample.CONVERSATION)) as media:
        frames = [made for frame in media.decode(audio=0) for made in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames])


def test_it_is_small_and_short() -> None:
    assert sample.CONVERSATION.stat().st_size < 900_000
    with av.open(str(sample.CONVERSATION)) as media:
        assert 40 < media.duration / av.time_base < 50
        video, audio = media.streams.video[0], media.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 640, 360)
        assert audio.codec_context.name == "aac"


def test_the_caption_track_names_the_speakers_and_holds_the_script(cues: list[Cue]) -> None:
    assert [text for _, _, text in cues] == [f"<v {x.speaker}>{x.text}" for x in make.SCRIPT]
    assert {x.speaker for x in make.SCRIPT} == {"Ada", "Ben"}
    assert {x.emotion for x in make.SCRIPT} == set(EMOTIONS)


def test_the_utterances_lie_apart(cues: list[Cue]) -> None:
    for (_, end, _), (start, _, _) in pairwise(cues):
        assert 0.9 <= start - end + 0.001 <= 1.51


def test_captions_lie_exactly_on_the_speech(cues: list[Cue], sound: np.ndarray) -> None:
    def loudest(start: float, end: float) -> float:
        return float(np.abs(sound[int(start * 16_000) : int(end * 16_000)]).max())

    # The codec smears sound by a few milliseconds around an onset.
    before = 0.0
    for start, end, _ in cues:
        assert loudest(start, start + 0.05) > 0.01
        assert loudest(end - 0.05, end) > 0.005
        assert loudest(before, start - 0.03) < 0.005
        before = end + 0.03


def test_the_sidecar_holds_the_same_captions(cues: list[Cue]) -> None:
    blocks = sample.CONVERSATION.with_suffix(".vtt").read_text(encoding="utf-8").split("\n\n")
    assert blocks[0] == "WEBVTT"
    for block, (start, end, text) in zip(blocks[1:], cues, strict=True):
        times, words = block.strip().split("\n")
        assert words == text
        stamps = [
            sum(float(part) * 60**power for power, part in enumerate(reversed(stamp.split(":"))))
            for stamp in times.split(" --> ")
        ]
        assert stamps == pytest.approx([start, end], abs=0.0015)


def test_somebody_is_in_the_picture_except_during_the_lines_that_say_so(cues: list[Cue]) -> None:
    with av.open(str(sample.CONVERSATION)) as media:
        spread = {
            float(frame.time): float(frame.to_ndarray(format="gray")[:300].std())
            for frame in media.decode(video=0)
        }
    for line, (start, end, _) in zip(make.SCRIPT, cues, strict=True):
        inside = [value for time, value in spread.items() if start <= time <= end]
        assert (min(inside) > 20) if line.face else (max(inside) < 5)


def test_anger_is_the_loudest_and_sadness_the_softest(cues: list[Cue], sound: np.ndarray) -> None:
    loudness = {
        line.emotion: float(np.square(sound[int(start * 16_000) : int(end * 16_000)]).mean())
        for line, (start, end, _) in zip(make.SCRIPT, cues, strict=True)
    }
    assert max(loudness, key=lambda emotion: loudness[emotion]) == "anger"
    assert min(loudness, key=lambda emotion: loudness[emotion]) == "sadness"


def test_a_louder_voice_opens_the_mouth_and_moves_nothing_above_the_nose() -> None:
    portrait = faces.Portrait()
    for expression in faces.EXPRESSIONS.values():
        shut, wide = (
            portrait.draw(faces.pose(expression, loudness)).astype(float) for loudness in (0.0, 1.0)
        )
        change = np.abs(wide - shut).max(axis=2)
        assert change[280:340, 420:480].max() > 60
        assert change[:200].max() < 25


def test_nobody_is_seen_while_ben_speaks_and_expressions_blend_while_ada_goes_on() -> None:
    ada, again, ben = (
        make.Spoken(make.Line(speaker, emotion, "", 1.0, speaker == "Ada"), start, start + 1, loud)
        for speaker, emotion, start, loud in (
            ("Ada", "neutral", 1.0, np.zeros(15)),
            ("Ada", "anger", 3.0, np.zeros(15)),
            ("Ben", "neutral", 5.0, np.zeros(15)),
        )
    )
    frowns = []
    for time in (1.5, 2.7, 3.5):
        turn, seen = make.posed([ada, again, ben], time)
        assert turn.line.speaker == "Ada"
        assert seen is not None
        frowns.append(seen.looks[1])
    assert frowns[0] == 0 < frowns[1] < frowns[2] == 1
    assert make.posed([ada, again, ben], 5.5)[1] is None


@pytest.mark.parametrize("package", make.PACKAGES.values())
def test_a_missing_package_is_named_with_its_remedy(
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(make, "PACKAGES", {"no_such_module": package})
    assert cli.run(make.main, [str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"pip install {package}" in error
    assert error.count("\n") == 1


def test_it_can_be_made_again_with_the_same_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "SCRIPT", make.SCRIPT[:2])
    monkeypatch.setattr(make, "WIDTH", 160)
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        assert cli.run(make.main, [str(folder)]) == 0
    names = sorted(path.name for path in first.iterdir())
    assert names == ["conversation.mkv", "conversation.vtt"]
    assert (first / names[1]).read_bytes() == (second / names[1]).read_bytes()
    expected, actual = (_contents(folder / names[0]) for folder in (first, second))
    assert expected["audio"] == actual["audio"]
    assert expected["subtitle"] == actual["subtitle"]
    pictures = [_pictures(folder / names[0]) for folder in (first, second)]
    assert pictures[0].shape == pictures[1].shape
    assert len(pictures[0]) > 50
    # The encoder spends its bits a little differently each time; in grey levels of 255.
    assert np.abs(pictures[0].astype(float) - pictures[1]).mean(axis=(1, 2)).max() < 5


def _contents(path: Path) -> dict[str, bytes]:
    """All packets of each kind of stream, in a row."""
    found: dict[str, bytes] = {}
    with av.open(str(path)) as media:
        for packet in media.demux():
            found[packet.stream.type] = found.get(packet.stream.type, b"") + bytes(packet)
    return found


def _pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as media:
        return np.stack([frame.to_ndarray(format="gray") for frame in media.decode(video=0)])


def test_a_missing_folder_is_the_users_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(make.main, [str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
