"""Prosody is what phoneticians measure, and what the tables that networks are trained on have."""

import io
from collections.abc import Iterator
from zipfile import ZipFile

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gscon_live.model.encoders.voice.pitch import frames, harmonicity, track
from gscon_live.model.encoders.voice.prosody import PROSODY, ProsodyEncoder
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.train.corpora import corpus, data_folder, erc

Sound = NDArray[np.float32]

needs_data = pytest.mark.skipif(
    not data_folder().is_dir(), reason="the corpora are not in GSCON_DATA"
)


def prosody(sound: NDArray[np.floating]) -> dict[str, float]:
    found = ProsodyEncoder().encode(sound.astype(np.float32))
    assert found.shape == (8,)
    assert found.dtype == np.float32
    return dict(zip(PROSODY, found.tolist(), strict=True))


def seconds(count: float) -> NDArray[np.float64]:
    return np.arange(int(count * SAMPLE_RATE)) / SAMPLE_RATE


def voice(pitch: float | NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """A vowel-like tone of eleven harmonics."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, seconds(length).shape)) / SAMPLE_RATE
    made: NDArray[np.float64] = 0.05 * sum(np.sin(k * phase) / k for k in range(1, 12))
    return made


def noise(length: float, level: float = 0.05, seed: int = 0) -> NDArray[np.float64]:
    made: NDArray[np.float64] = np.random.default_rng(seed).normal(size=len(seconds(length)))
    return level * made


def spoken(seed: int) -> Sound:
    """Something like speech: a voice of moving pitch in 2.2 syllables a second, and breath."""
    random = np.random.default_rng(seed)
    time = seconds(1.5 + random.random() * 2)
    pitch = 90 + 160 * random.random() + 30 * np.sin(2 * np.pi * (0.5 + random.random()) * time)
    sung = voice(pitch, len(time) / SAMPLE_RATE) / 0.05
    strength = np.maximum(0, np.sin(2 * np.pi * 2.2 * time)) ** 0.7
    made = strength * sung + 0.1 * (random.random(len(time)) - 0.5) + 0.01
    return (0.05 * made).astype(np.float32)


# Against Praat.

#: How far our figures may be from Praat's, in the order of `PROSODY`.
CLOSE = (1e-3, 0.02, 0.05, 1.0, 1.0, 4.0, 0.1, 0.7)

#: What Praat 6.1.38 says of `spoken(seed)`.
MADE = {
    0: (2.774, 61.450, 13.049, 139.828, 20.237, 62.463, 1.803, 23.899),
    1: (2.524, 61.858, 13.083, 246.034, 19.646, 59.542, 1.981, 24.716),
    2: (2.023, 61.961, 13.151, 139.196, 21.172, 59.951, 1.977, 22.043),
    3: (1.671, 61.938, 13.064, 129.606, 23.005, 59.920, 1.795, 22.166),
}

#: What Praat 6.1.38 says of recordings.
RECORDED = {
    "2609-156975-0005": (6.505, 68.300, 6.164, 143.773, 42.753, 362.750, 3.536, 7.087),
    "3331-159605-0005": (4.755, 71.393, 16.274, 249.178, 80.434, 289.161, 4.444, 8.898),
    "03b09Tc": (2.000, 79.562, 12.340, 133.992, 33.645, 255.787, 4.227, 13.352),
    "09b03Fa": (2.000, 73.955, 10.316, 350.677, 62.820, 229.721, 5.500, 13.777),
    "03-01-04-02-02-01-17": (3.604, 57.753, 19.222, 138.880, 18.589, 86.631, 4.289, 8.213),
    "03-01-07-02-02-02-17": (4.605, 57.912, 20.759, 192.056, 58.662, 185.303, 5.388, 10.373),
}


@pytest.mark.parametrize("seed", MADE)
def test_made_speech_is_measured_as_by_praat(seed: int) -> None:
    found = ProsodyEncoder().encode(spoken(seed))
    for name, ours, theirs, close in zip(PROSODY, found, MADE[seed], CLOSE, strict=True):
        assert ours == pytest.approx(theirs, abs=close), name


def sounds(stride: dict[str, int]) -> Iterator[tuple[str, str, Sound]]:
    """Archive, name and sound of every so-manieth recording of the archives."""
    for archive, step in stride.items():
        with ZipFile(corpus(archive)) as opened:
            names = sorted(name for name in opened.namelist() if name.endswith(".flac"))
            for name in names[::step]:
                yield archive, name.rpartition("/")[2].removesuffix(".flac"), _decoded(opened, name)


def _decoded(opened: ZipFile, name: str) -> Sound:
    with av.open(io.BytesIO(opened.read(name))) as container:
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        frames = [made for one in container.decode(audio=0) for made in resampler.resample(one)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


LIBRISPEECH, EMODB, RAVDESS = (
    "speech/librispeech_10x10.zip",
    "voice/emodb_16k.zip",
    "voice/ravdess_speech_16k.zip",
)


@needs_data
def test_recordings_are_measured_as_by_praat() -> None:
    paths = {}
    for archive in (LIBRISPEECH, EMODB, RAVDESS):
        with ZipFile(corpus(archive)) as opened:
            stems = {n.rpartition("/")[2].removesuffix(".flac"): n for n in opened.namelist()}
            for name in RECORDED.keys() & stems.keys():
                paths[name] = _decoded(opened, stems[name])
    assert paths.keys() == RECORDED.keys()
    # Praat hears further into pauses than we do; and in two seconds one peak of the intensity more
    # or less is half a syllable a second.
    allowed = np.add(CLOSE, (0, 0, 1, 0, 0, 0, 0.5, 0))
    for name, theirs in RECORDED.items():
        ours = ProsodyEncoder().encode(paths[name])
        for place, measure in enumerate(PROSODY):
            close = pytest.approx(theirs[place], abs=allowed[place])
            assert ours[place] == close, (name, measure)


@needs_data
def test_speech_is_where_the_tables_have_it() -> None:
    """Medians of three corpora lie between the 1st and 99th percentile of IEMOCAP's and MELD's
    utterances. Not asked of intensity, which is the microphone's, nor of its variation in RAVDESS,
    whose studio is more silent between and around words than any set."""
    tabled = np.array(
        [
            one.prosody
            for name in ("iemocap", "meld")
            for dialogues in erc.load(name).splits.values()
            for dialogue in dialogues
            for one in dialogue.utterances
            if one.prosody is not None
        ]
    )
    low, high = np.quantile(tabled, [0.01, 0.99], axis=0)
    found: dict[str, list[NDArray[np.float32]]] = {}
    for archive, _, sound in sounds({LIBRISPEECH: 14, EMODB: 31, RAVDESS: 103}):
        found.setdefault(archive, []).append(ProsodyEncoder().encode(sound))
    assert len(found) == 3
    for archive, rows in found.items():
        middle = np.median(rows, axis=0)
        for place, name in enumerate(PROSODY):
            if name == "avg_intensity" or (name, archive) == ("intensity_variation", RAVDESS):
                continue
            assert low[place] < middle[place] < high[place], (archive, name)


@needs_data
def test_women_and_men_speak_as_high_as_in_the_tables() -> None:
    table = erc.load("iemocap")
    tabled: dict[str, list[float]] = {"F": [], "M": []}
    for dialogues in table.splits.values():
        for one in (u for dialogue in dialogues for u in dialogue.utterances):
            if one.prosody is not None and one.prosody[3] > 0:
                tabled[one.speaker].append(one.prosody[3])
    measured: dict[str, list[float]] = {"F": [], "M": []}
    for _, name, sound in sounds({EMODB: 20}):
        sex = "F" if name[:2] in ("08", "09", "13", "14", "16") else "M"
        measured[sex].append(prosody(sound)["avg_pitch"])
    for sex in "FM":
        assert len(measured[sex]) > 10
        # Within three semitones.
        assert abs(12 * np.log2(np.median(measured[sex]) / np.median(tabled[sex]))) < 3


# Sounds of which everything is known.


@pytest.mark.parametrize("pitch", [90, 200, 440])
def test_a_tone_has_its_pitch_and_no_noise(pitch: float) -> None:
    found = prosody(voice(pitch, 1.0))
    assert found["duration"] == 1
    assert found["avg_pitch"] == pytest.approx(pitch, rel=1e-3)
    assert found["pitch_std"] < 0.1
    assert found["pitch_range"] < 0.5
    assert found["mean_hnr"] > 30
    assert found["intensity_variation"] < 0.2


def test_a_glide_has_the_mean_deviation_and_range_of_its_pitch() -> None:
    pitch = np.linspace(150, 250, len(seconds(2)))
    found = prosody(voice(pitch, 2))
    assert found["avg_pitch"] == pytest.approx(200, abs=1)
    assert found["pitch_std"] == pytest.approx(100 / np.sqrt(12), abs=1)
    assert found["pitch_range"] == pytest.approx(100, abs=4)


def test_an_octave_is_told_even_where_it_is_sung_softly() -> None:
    steps = np.where(seconds(2) < 1, 150.0, 300.0)
    found, _ = track(voice(steps, 2) * np.where(seconds(2) < 1, 1, 0.3))
    assert np.median(found[:80]) == pytest.approx(150, rel=0.01)
    assert np.median(found[-80:]) == pytest.approx(300, rel=0.01)


def test_noise_has_no_pitch_and_little_harmony() -> None:
    found = prosody(noise(2))
    assert found["avg_pitch"] == found["pitch_std"] == found["pitch_range"] == 0
    assert found["articulation_rate"] == 0
    assert found["mean_hnr"] < 0


@pytest.mark.parametrize("ratio", [0, 5, 10, 20])
def test_harmonics_to_noise_is_the_ratio_of_their_powers(ratio: float) -> None:
    tone = voice(200, 3)
    hiss = noise(3) / 0.05 * tone.std() * 10 ** (-ratio / 20)
    assert harmonicity(tone + hiss).mean() == pytest.approx(ratio, abs=1)


def test_the_level_of_a_sine_is_that_of_its_power() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 300 * seconds(1))
    expected = 10 * np.log10(0.1**2 / 2 / 4e-10)
    assert prosody(tone)["avg_intensity"] == pytest.approx(expected, abs=0.01)


@given(seed=st.integers(0, 3), gain=st.floats(-30, 20))
@settings(max_examples=6, deadline=None)
def test_a_gain_shifts_the_mean_intensity_and_nothing_else(seed: int, gain: float) -> None:
    sound = spoken(seed).astype(np.float64)
    before, after = prosody(sound), prosody(sound * 10 ** (gain / 20))
    assert after.pop("avg_intensity") - before.pop("avg_intensity") == pytest.approx(gain, abs=0.01)
    assert after == pytest.approx(before, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("syllables", [2, 3, 4])
def test_syllables_are_counted_by_their_swell(syllables: int) -> None:
    time = seconds(4)
    swell = np.sin(np.pi * syllables * time) ** 2 + 0.01
    found = prosody(voice(180, 4) * swell)
    # The last peak does not count.
    assert found["articulation_rate"] == pytest.approx((syllables * 4 - 1) / 4, abs=0.01)


def test_syllables_without_voice_do_not_count() -> None:
    swell = np.sin(np.pi * 3 * seconds(4)) ** 2 + 0.01
    assert prosody(noise(4) * swell)["articulation_rate"] == 0


def test_pauses_are_no_part_of_the_articulation_rate() -> None:
    swell = np.sin(np.pi * 3 * seconds(4)) ** 2 + 0.05
    speech = voice(180, 4) * swell
    hush = noise(2, 1e-4)
    without, paused = (
        prosody(speech),
        prosody(np.concatenate([speech[:32000], hush, speech[32000:]])),
    )
    assert paused["duration"] == 6
    assert paused["articulation_rate"] == pytest.approx(without["articulation_rate"], rel=0.15)
    assert paused["avg_pitch"] == pytest.approx(without["avg_pitch"], rel=0.01)


def test_suppressed_noise_does_not_sound_like_whispering() -> None:
    """Pauses of digital silence count as quiet, not as infinitely quiet."""
    gated = np.concatenate([voice(150, 1), np.zeros(8000), voice(150, 1)])
    assert 0 < prosody(gated)["intensity_variation"] < 30


def test_silence_and_single_samples_are_finite() -> None:
    for sound in (np.zeros(16000), np.zeros(1), np.ones(1), np.full(5000, 0.3)):
        found = prosody(sound)
        assert found.pop("duration") == pytest.approx(len(sound) / SAMPLE_RATE)
        assert set(found.values()) == {0}


@given(length=st.integers(1, 6000), seed=st.integers(0, 99), level=st.sampled_from([1e-9, 1e-3, 1]))
@settings(max_examples=40, deadline=None)
def test_any_sound_has_finite_features_and_its_duration(
    length: int, seed: int, level: float
) -> None:
    sound = level * np.random.default_rng(seed).normal(size=length)
    found = prosody(sound)
    assert np.isfinite(list(found.values())).all()
    assert found["duration"] == pytest.approx(length / SAMPLE_RATE)
    assert found["avg_pitch"] == 0 or 75 <= found["avg_pitch"] <= 600
    assert found["pitch_range"] <= 525


def test_what_is_no_number_counts_as_silence() -> None:
    sound = voice(200, 1)
    sound[5000:5010] = [np.nan, np.inf, -np.inf] * 3 + [np.nan]
    with np.errstate(all="raise"):
        found = prosody(sound)
    assert found["avg_pitch"] == pytest.approx(200, rel=0.01)


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="mono"):
        ProsodyEncoder().encode(np.zeros(shape, np.float32))


def test_the_encoder_says_what_it_is() -> None:
    assert ProsodyEncoder.dim == len(PROSODY) == 8
    assert ProsodyEncoder.identity == "prosody/1"
    sound = spoken(0)
    kept = sound.copy()
    first, second = ProsodyEncoder().encode(sound), ProsodyEncoder().encode(sound)
    assert np.array_equal(first, second)
    assert np.array_equal(sound, kept)


@given(count=st.integers(1, 300), length=st.integers(1, 60), step=st.integers(1, 40))
def test_frames_lie_evenly_about_the_middle(count: int, length: int, step: int) -> None:
    sound = np.arange(count, dtype=np.float64)
    cut, middles = frames(sound, length, step)
    assert cut.shape == (len(middles), length)
    assert np.allclose(np.diff(middles), step)
    # As much left over before as behind, to a sample.
    assert abs(middles[0] - (count - middles[-1])) <= 1
    if count >= length:
        assert len(middles) == (count - length) // step + 1
        np.testing.assert_array_equal(cut[:, 0] + length / 2, middles)
    else:
        assert len(middles) == 1
        assert cut.sum() == sound.sum()
