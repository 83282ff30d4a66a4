"""What is promised of a microphone: the sound as it was, its time, and every loss reported."""

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from devices import VirtualMicrophone, virtual_microphone
from hypothesis import given
from hypothesis import strategies as st
from made_media import only

from gscon_live.common.errors import InputError
from gscon_live.realtime.capture.devices import find_microphone, microphones
from gscon_live.realtime.capture.microphone import QUEUE_SECONDS, MicrophoneSource
from gscon_live.realtime.capture.sample_clock import SampleClock
from gscon_live.realtime.pipeline.messages import (
    AudioChunk,
    Dropped,
    Mark,
    Message,
    complete_at,
)
from gscon_live.realtime.pipeline.settings import Microphone

#: A device does not wait for a machine that is busy.
pytestmark = pytest.mark.alone

RATE = 16_000


@pytest.fixture(scope="module")
def microphone() -> Iterator[VirtualMicrophone]:
    with virtual_microphone() as made:
        yield made


def read_until(
    source: MicrophoneSource, enough: Callable[[list[Message]], bool], patience: float = 25.0
) -> list[Message]:
    found: list[Message] = []
    end = time.monotonic() + patience
    while not enough(found):
        assert time.monotonic() < end, f"only {len(found)} messages came"
        found += source.read(0.2)
    return found


def seconds(messages: list[Message]) -> float:
    return sum(len(chunk.samples) for chunk in only(messages, AudioChunk)) / 4 / RATE


#: Seconds that the virtual sound card itself may lose whenever it stands still, and as it starts.
CARD_LOSES = 0.01


class Heard(NamedTuple):
    """What came of a capture, sample by sample, in the order in which it came.

    `samples` are the sound, `times` its media times by the blocks' stamps. `lost` holds (number of
    samples before it, seconds) for every loss that was reported.
    """

    samples: npt.NDArray[np.float32]
    times: npt.NDArray[np.float64]
    lost: list[tuple[int, float]]


def heard(captured: list[tuple[float, Message]]) -> Heard:
    """Puts together what was read, each message with the time at which it was handed over."""
    samples, times, lost, count = [], [], list[tuple[int, float]](), 0
    for _, message in captured:
        if isinstance(message, Dropped):
            lost.append((count, message.seconds))
        elif isinstance(message, AudioChunk):
            block = np.frombuffer(message.samples, np.float32)
            samples.append(block)
            times.append(message.time + np.arange(len(block)) / RATE)
            count += len(block)
    return Heard(np.concatenate(samples), np.concatenate(times), lost)


def test_what_is_played_is_heard_complete_and_at_its_time(microphone: VirtualMicrophone) -> None:
    # Every sample is another number, and none is silence: each is known wherever it turns up.
    numbers = np.random.default_rng(1).permutation(np.linspace(0.01, 0.5, 3 * RATE))
    played = (numbers * np.where(np.arange(len(numbers)) % 2, -1, 1)).astype(np.float32)
    position = {sample: place for place, sample in enumerate(played.tolist())}
    t0 = time.monotonic()
    source = MicrophoneSource(Microphone(), t0)
    source.open()
    assert source.state == "open"
    captured: list[tuple[float, Message]] = []

    def read(enough: Callable[[list[Message]], bool]) -> None:
        give_up = time.monotonic() + 60
        while not enough([message for _, message in captured]):
            assert time.monotonic() < give_up, f"only {len(captured)} messages came"
            captured.extend((time.monotonic() - t0, message) for message in source.read(0.2))

    read(lambda m: bool(only(m, AudioChunk)))
    first_read = next(at for at, message in captured if isinstance(message, AudioChunk))
    began = time.monotonic() - t0
    microphone.play(played)
    # A loss that nobody announces is noticed within a good second: so much is heard afterwards.
    read(lambda m: bool(np.isin(heard(captured).samples, played[-RATE // 5 :]).any()))
    length = seconds([message for _, message in captured])
    read(lambda m: seconds(m) > length + 1.5)
    source.close()
    source.close()

    # The sound as it was: what is not silence was played, in this order, and nothing twice.
    sound = heard(captured)
    spoken = np.flatnonzero(sound.samples)
    places = np.array([position[sample] for sample in sound.samples[spoken].tolist()])
    assert (np.diff(places) > 0).all()
    # Complete: what is missing was reported, but for what is too short to notice, and for what the
    # virtual sound card loses by itself where it had to wait for the machine and played silence.
    waits = int((np.diff(spoken) > 1).sum())
    reported = sum(length for _, length in sound.lost)
    missing = (len(played) - len(places)) / RATE
    assert missing <= reported + SampleClock.LATE + CARD_LOSES * (1 + waits)
    # Gapless: from block to block time goes on by the length of the sound and of reported losses.
    steps = np.diff(sound.times)
    for count, length in sound.lost:
        if 0 < count < len(sound.times):
            steps[count - 1] -= length
    assert np.abs(steps - 1 / RATE).max() < 0.001
    # At its time: the first block of all not after it was handed over, from where time goes on; and
    # what was played not before it was, but for losses that are reported later or are too short to
    # notice.
    first = spoken[0]
    later = sum(length for count, length in sound.lost if count > first)
    assert sound.times[first] + later > began - SampleClock.LATE - 0.02
    assert 0 <= sound.times[0] <= first_read


def test_a_device_of_another_rate_is_resampled(
    microphone: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gscon_live.realtime.capture.microphone._format", lambda *_: (44_100, 2))
    source = MicrophoneSource(Microphone(), time.monotonic())
    source.open()
    found = read_until(source, lambda m: bool(only(m, AudioChunk)))
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE).astype(np.float32)
    microphone.play(tone)
    found += read_until(source, lambda m: seconds(m) > 3)
    source.close()
    heard = np.concatenate(
        [np.frombuffer(chunk.samples, np.float32) for chunk in only(found, AudioChunk)]
    )[-RATE:]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(RATE)))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=1)
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.05)


def test_a_vanished_device_is_reported_and_taken_up_again(microphone: VirtualMicrophone) -> None:
    source = MicrophoneSource(Microphone(), time.monotonic())
    source.open()
    read_until(source, lambda m: bool(only(m, AudioChunk)))
    microphone.stop()
    gone = read_until(source, lambda m: len(only(m, Mark)) >= 2)
    assert source.state == "gone"
    assert ["gone" in drop.reason for drop in only(gone, Dropped)] == [True]
    microphone.start()
    back = read_until(source, lambda m: seconds(m) > 0.5)
    assert source.state == "open"
    (drop,) = only(back, Dropped)
    assert "back" in drop.reason
    assert drop.seconds > 1.0
    assert drop.count == round(drop.seconds * RATE)
    assert only(back, AudioChunk)[0].time >= only(gone, Mark)[-1].time
    source.close()


def test_a_device_is_chosen_by_name_part_or_index(microphone: VirtualMicrophone) -> None:
    there = microphones()
    assert [info.default for info in there].count(True) == 1
    assert find_microphone(None).default
    for info in there:
        assert find_microphone(info.index) == info
        assert find_microphone(str(info.index)) == info
        assert find_microphone(info.name) == info
        assert find_microphone(info.name[:-1].upper()).name.startswith(info.name[:-1])
    for wrong in ("no such device", 999):
        with pytest.raises(InputError, match=there[0].name):
            MicrophoneSource(Microphone(device=wrong), 0.0).open()


class FakeStream:
    """A device library in the hands of the test."""

    active = True
    latency = 0.0

    def __init__(self, callback: Any, *_: Any) -> None:
        self.callback = callback

    def start(self) -> None: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


class Faulty:
    """A microphone whose blocks come when the test says, on the test's clock."""

    def __init__(self, channels: int = 1, split: bool = False) -> None:
        self.now = 100.0
        self.channels = channels
        self.stream: Any = None
        self.source = MicrophoneSource(
            Microphone(block=0.02),
            100.0,
            split=split,
            stream_factory=self._make,
            clock=lambda: self.now,
        )
        self.source.open()

    def _make(self, *arguments: Any) -> FakeStream:
        self.stream = FakeStream(*arguments)
        return self.stream

    def block(self, overflow: bool = False, jump: float = 0.0, value: float = 1.0) -> None:
        self.now += 0.02 + jump
        status = SimpleNamespace(input_overflow=overflow)
        data = np.full((320, self.channels), value, np.float32)
        data[:, 1:] *= -1
        self.stream.callback(data, 320, None, status)


def test_each_channel_of_a_microphone_is_kept_where_it_is_a_speakers() -> None:
    stereo = Faulty(channels=2, split=True)
    stereo.block(value=0.25)
    (chunk,) = stereo.source.read(0)
    assert isinstance(chunk, AudioChunk)
    assert chunk.channels == 2
    first, second = np.frombuffer(chunk.samples, np.float32).reshape(2, 320)
    assert np.all(first == 0.25)
    assert np.all(second == -0.25)
    assert complete_at(chunk) == pytest.approx(0.02)


def test_samples_lost_by_the_device_are_reported_with_their_length() -> None:
    faulty = Faulty()
    for _ in range(10):
        faulty.block()
    faulty.block(overflow=True, jump=0.3)
    faulty.block()
    found = faulty.source.read(0)
    (drop,) = only(found, Dropped)
    assert drop.what == "audio"
    assert "overflow" in drop.reason
    assert drop.seconds == pytest.approx(0.3, abs=1e-6)
    assert drop.count == pytest.approx(4800, abs=1)
    times = [chunk.time for chunk in only(found, AudioChunk)]
    assert times[10] - times[9] == pytest.approx(0.32)
    assert drop.time == pytest.approx(times[9] + 0.02)


def test_when_nobody_reads_memory_stays_bounded_and_the_loss_is_counted() -> None:
    faulty = Faulty()
    for _ in range(round(40 / 0.02)):
        faulty.block()
    found = faulty.source.read(0)
    assert seconds(found) == pytest.approx(QUEUE_SECONDS, abs=0.05)
    assert not only(found, Dropped)
    faulty.block()
    (drop, chunk) = faulty.source.read(0)
    assert isinstance(drop, Dropped)
    assert drop.seconds == pytest.approx(40 - QUEUE_SECONDS, abs=0.05)
    assert isinstance(chunk, AudioChunk)
    assert chunk.time == pytest.approx(40.0, abs=0.05)


def test_a_device_that_falls_silent_is_taken_for_gone() -> None:
    faulty = Faulty()
    faulty.block()
    assert only(faulty.source.read(0), AudioChunk)
    faulty.now += 1.0
    assert faulty.source.read(0) == []
    faulty.now += 5.0
    (drop,) = faulty.source.read(0)
    assert isinstance(drop, Dropped)
    assert "gone" in drop.reason


@pytest.mark.fault
def test_a_device_that_gives_only_zeros_is_reported_once() -> None:
    """A microphone that gives only zeros: a `gap` with the remedy, once."""
    faulty = Faulty()
    for _ in range(round(20 / 0.02)):
        faulty.block(value=0.0)
    found = faulty.source.read(0)
    (drop,) = only(found, Dropped)
    assert "microphone has given only zeros for 5 s" in drop.reason
    assert "--microphone" in drop.reason
    assert (drop.what, drop.seconds) == ("audio", pytest.approx(5.0, abs=0.03))
    assert drop.time == pytest.approx(0.0, abs=0.05)
    # The sound goes on, at its time.
    assert seconds(found) == pytest.approx(20.0, abs=0.03)
    for value in (1.0, 0.0):
        for _ in range(round(10 / 0.02)):
            faulty.block(value=value)
    assert not only(faulty.source.read(0), Dropped)


def test_quiet_is_not_mute() -> None:
    faulty = Faulty()
    for _ in range(round(4.9 / 0.02)):
        faulty.block(value=0.0)
    faulty.block(value=1e-7)
    # Programs that take out noise give zeros in every pause.
    for _ in range(round(20 / 0.02)):
        faulty.block(value=0.0)
    assert not only(faulty.source.read(0), Dropped)


@pytest.mark.fault
def test_a_stereo_device_whose_channels_cancel_each_other_is_heard() -> None:
    """A stereo microphone whose channels cancel each other: heard."""
    faulty = Faulty(channels=2)
    for _ in range(100):
        faulty.block(value=0.5)
    found = faulty.source.read(0)
    heard = np.concatenate([np.frombuffer(m.samples, np.float32) for m in only(found, AudioChunk)])
    assert np.abs(heard[RATE:]).min() == pytest.approx(0.5)


def test_a_device_that_cannot_be_opened_is_an_error_in_one_line() -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("Device\nbusy")

    with pytest.raises(InputError, match=r"Device busy.*--microphone"):
        MicrophoneSource(Microphone(), 0.0, stream_factory=refuse).open()


@given(
    jitter=st.lists(st.floats(0, 0.08), min_size=100, max_size=300),
    drift=st.floats(-2e-4, 2e-4),
)
def test_jitter_and_drift_leave_blocks_gapless(jitter: list[float], drift: float) -> None:
    clock = SampleClock()
    end = None
    for number, late in enumerate(jitter):
        at, missing = clock.stamp(number * 0.02 * (1 + drift) + late, 0.02, False)
        assert missing == 0
        if end is not None:
            assert at == pytest.approx(end, abs=0.00011)
        end = at + 0.02


@given(
    standstill=st.floats(0.3, 9.0),
    kept=st.floats(0.0, 1.0),
    speed=st.one_of(st.floats(1.5, 4.0), st.just(1e6)),
)
def test_sound_that_a_standstill_only_delays_is_not_missing(
    standstill: float, kept: float, speed: float
) -> None:
    """A process stands still. The device keeps the latest part of the sound, and hands it over
    faster than it was spoken, or at once, when the process goes on."""
    clock, block = SampleClock(), 0.02
    began = 4.0
    lost = round((1 - kept) * standstill / block) * block
    if lost < 0.15:
        lost = 0.0
    missing, arrives = 0.0, 0.0
    for number in range(round(40.0 / block)):
        captured = number * block
        if began <= captured < began + lost:
            continue
        # It is handed over after it was captured, after the standstill, and after the block before.
        soonest = captured if captured < began else max(captured, began + standstill)
        arrives = max(soonest, arrives + block / speed)
        at, gone = clock.stamp(arrives, block, False)
        missing += gone
    assert missing == pytest.approx(lost, abs=0.07)
    assert at == pytest.approx(captured, abs=0.12)


@given(lost=st.floats(0.15, 5.0), before=st.integers(60, 200))
def test_samples_that_go_missing_unannounced_are_noticed_within_a_good_second(
    lost: float, before: int
) -> None:
    clock = SampleClock()
    found = 0.0
    for number in range(before + 120):
        at, missing = clock.stamp(number * 0.02 + (lost if number >= before else 0), 0.02, False)
        found += missing
    assert found == pytest.approx(lost, abs=0.01)
    assert at == pytest.approx((before + 119) * 0.02 + lost, abs=0.01)
