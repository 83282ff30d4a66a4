"""A neutral person does not flicker: silent ones are not answered for, others may be smoothed."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from sessions import read, run, utterances
from spoken import held_out_sentences, join, needs_ravdess, whole, write_wav

from gscon_live.realtime.events import schema
from gscon_live.realtime.sample.faces import Portrait
from gscon_live.realtime.sample.make import HEIGHT, SCRIPT, WIDTH, Spoken, picture

#: RAVDESS' numbers of neutral and calm.
NEUTRAL = (1, 2)
SECONDS, FPS = 30, 10


def silent_recording(path: Path) -> Path:
    """A face that is kept still by nobody but its owner, before a camera that is not perfect, in a
    room where nobody speaks."""
    rng = np.random.default_rng(4)
    portrait, nobody = Portrait(), np.zeros(1)
    # Somebody whose turn has not come yet.
    waiting = [Spoken(SCRIPT[0], SECONDS + 1.0, SECONDS + 2.0, nobody)]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for number in range(SECONDS * FPS):
            shown = picture(portrait, waiting, number / FPS).astype(np.int16)
            shown = np.clip(shown + rng.integers(-6, 7, shown.shape, np.int16), 0, 255)
            frame = av.VideoFrame.from_ndarray(shown.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(frame))
            quiet = rng.integers(-10, 11, (1, 1600), np.int16)
            heard = av.AudioFrame.from_ndarray(quiet, "s16", "mono")
            heard.sample_rate, heard.pts = 16_000, number * 1600
            out.mux(sound.encode(heard))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))
    return path


def test_a_silent_face_is_not_answered_for(tmp_path: Path) -> None:
    made = silent_recording(tmp_path / "silent.mkv")
    out = tmp_path / "out.jsonl"
    done = run("gscon_live.realtime.replay", made, "--transcriber", "off", "--events", out)
    assert done.returncode == 0, done.stderr
    found = read(out)
    assert [
        event for event in found if isinstance(event, schema.Provisional | schema.UtteranceEvent)
    ] == []


@needs_ravdess
def test_the_label_of_neutral_speech_changes_no_oftener_than_smoothing_allows(
    tmp_path: Path,
) -> None:
    said = [sentence for sentence in held_out_sentences(NEUTRAL, each=4) if sentence.actor == 22]
    rng = np.random.default_rng(7)
    sound, _ = join(
        [whole(sentence.samples) for sentence in said], [1.2] * (len(said) + 1), 0.0003, rng
    )
    write_wav(tmp_path / "neutral.wav", sound)
    changes = []
    for seconds in (0, 20):
        out = tmp_path / f"{seconds}.jsonl"
        words = ["--transcriber", "off", "--events", out, f"recognition.smoothing={seconds}"]
        done = run("gscon_live.realtime.replay", tmp_path / "neutral.wav", *words)
        assert done.returncode == 0, done.stderr
        labels = [event.emotion.label for event in utterances(read(out))]
        assert len(labels) >= len(said) - 1
        changes.append(sum(label != other for label, other in pairwise(labels)))
    per_minute = 60 / (len(sound) / 16_000)
    assert changes[1] <= changes[0]
    assert changes[1] * per_minute <= 4
    assert pytest.approx(per_minute, abs=2) == 1
