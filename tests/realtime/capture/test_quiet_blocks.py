"""Quiet sound comes in fewer blocks, and speech as soon as before."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gscon_live.realtime.capture.quiet_blocks import LONGEST, QuietBlocks
from gscon_live.realtime.pipeline.messages import AudioChunk, Mark, Message, complete_at

BLOCK = 0.04
NOISE, SPEECH = 1e-3, 1e-1
AFTER = 1.9


def block(time: float, level: float, channels: int = 1) -> AudioChunk:
    generator = np.random.default_rng(round(time * 1000))
    samples = generator.normal(0.0, level, (channels, round(BLOCK * 16_000)))
    return AudioChunk(time, samples.astype(np.float32).tobytes(), channels)


def row(levels: list[float]) -> list[AudioChunk]:
    return [block(round(number * BLOCK, 3), level) for number, level in enumerate(levels)]


def given_out(blocks: QuietBlocks, messages: list[Message]) -> list[list[Message]]:
    """What comes out for each message."""
    return [list(blocks.take([message])) for message in messages]


def sound(messages: list[Message]) -> list[tuple[float, int, list[list[float]]]]:
    """Runs of sound without a hole or another message between: begin, channels, samples."""
    runs: list[tuple[float, int, list[np.ndarray]]] = []
    end = -1.0
    for message in messages:
        if not isinstance(message, AudioChunk):
            end = -1.0
            continue
        samples = np.frombuffer(message.samples, np.float32).reshape(message.channels, -1)
        if abs(message.time - end) < 1e-6 and runs[-1][1] == message.channels:
            runs[-1][2].append(samples)
        else:
            runs.append((message.time, message.channels, [samples]))
        end = complete_at(message)
    return [(begin, n, np.concatenate(parts, axis=1).tolist()) for begin, n, parts in runs]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([NOISE, NOISE, NOISE, SPEECH, 0.0]), st.integers(1, 2)),
        st.sampled_from(["mark", "hole", "nothing"]),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([0.0, 0.4, AFTER, math.inf]))
def test_sound_and_order_stay_the_same(steps: list[object], after: float) -> None:
    blocks = QuietBlocks(after)
    time = 0.0
    taken: list[Message] = []
    out: list[Message] = []
    for step in [*steps, "nothing"]:
        messages: list[Message] = []
        if step == "mark":
            messages = [Mark(time, "microphone")]
        elif step == "hole":
            time = round(time + 0.5, 3)
        elif isinstance(step, tuple):
            messages = [block(time, *step)]
            time = round(time + BLOCK, 3)
        if step != "hole":
            out += blocks.take(messages)
        taken += messages
    assert sound(out) == sound(taken)
    marks = [[m for m in every if isinstance(m, Mark)] for every in (out, taken)]
    assert marks[0] == marks[1]
    # Each message comes after all that is before it, so times never go back.
    times = [m.time for m in out if isinstance(m, AudioChunk | Mark)]
    assert times == sorted(times)


def test_long_quiet_comes_in_fewer_blocks() -> None:
    out = given_out(QuietBlocks(AFTER), row([NOISE] * 200))
    early = [len(each) for each in out[: math.ceil(AFTER / BLOCK) - 1]]
    assert set(early) == {1}
    late = [message for each in out[100:] for message in each]
    lengths = {round(complete_at(message) - message.time, 3) for message in late}
    assert lengths == {LONGEST}


def test_speech_waits_for_nothing() -> None:
    """Its first block brings the quiet ones before it, and all blocks after it come at once."""
    for quiet in range(100, 108):
        levels = [NOISE] * quiet + [SPEECH] * 20 + [NOISE] * math.floor(AFTER / BLOCK)
        messages = row(levels)
        out = given_out(QuietBlocks(AFTER), messages)
        for message, came in zip(messages[quiet:-1], out[quiet:-1], strict=True):
            assert len(came) == 1
            assert complete_at(came[0]) == complete_at(message)


def test_a_loud_channel_hides_no_other() -> None:
    """One speaker's microphone hums, another one speaks."""

    def both(number: int, level: float) -> AudioChunk:
        time = round(number * BLOCK, 3)
        parts = [block(time, 10 * SPEECH).samples, block(time, level).samples]
        return AudioChunk(time, b"".join(parts), 2)

    blocks = QuietBlocks(AFTER)
    out = given_out(blocks, [both(number, NOISE) for number in range(101)])
    assert sum(len(each) for each in out[-40:]) <= 11
    assert len(list(blocks.take([both(101, SPEECH)]))) == 1


def test_louder_noise_is_followed() -> None:
    """Where noise grows, it is loud at first, and quiet again when it has lasted."""
    out = given_out(QuietBlocks(AFTER), row([NOISE] * 100 + [10 * NOISE] * 1000))
    assert all(len(each) == 1 for each in out[101:140])
    assert sum(len(each) for each in out[-100:]) <= 26


def test_where_nothing_comes_nothing_waits() -> None:
    blocks, last = QuietBlocks(0.0), block(0.0, NOISE)
    assert list(blocks.take([last])) == []
    assert list(blocks.take([])) == [last]
    assert list(blocks.take([])) == []
