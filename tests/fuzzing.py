"""Damaged input for every reader: python -m fuzzing --seconds 120 --seed 7

Each round changes a whole input at random places and gives it to its reader. A reader either reads
it or refuses it in one line; anything else is a finding, which is printed with the seed.
"""

import argparse
import contextlib
import pickle
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from gscon_live.common.errors import Failure, InputError
from gscon_live.configs import loader
from gscon_live.model import checkpoint
from gscon_live.realtime.capture import caption_files
from gscon_live.realtime.capture.recording import RecordingSource
from gscon_live.realtime.events import corrections, in_words, schema
from gscon_live.realtime.pipeline.messages import Mark
from gscon_live.realtime.pipeline.settings import Recording, Settings
from gscon_live.realtime.sample import CONVERSATION
from gscon_live.train.corpora import unpickle

Reader = Callable[[Path], object]

#: How many messages of a damaged recording are decoded at most: some seconds of it.
_MESSAGES = 400
_VTT = """WEBVTT

1
00:00:01.000 --> 00:00:02.500
<v Ada>They said <i>yes</i>!

00:00:02.600 --> 00:00:04.000
- {\\an8}I love you.
- Get out!
"""
#: What is put into an input besides random bytes: numbers and signs that readers stumble over.
_PIECES = (
    *(b"1e308", b"-1", b"NaN", b"0", b"9" * 5_000, b"0x" + b"f" * 5_000, b"[" * 3_000),
    *(b'{"a":' * 3_000, b"\x1b[2J", b"\\ud800", b"\x00", b"\xff\xfe", b"<v ", b"-->", b"&a *a"),
)


def readers(folder: Path) -> dict[str, tuple[str, bytes, Reader]]:
    """For each reader: the ending of its file, a whole input, and the function that reads it."""
    card = checkpoint.WEIGHTS / "live.json"
    weights = folder / "live.safetensors"
    weights.write_bytes(checkpoint.WEIGHTS.joinpath("live.safetensors").read_bytes())
    setup = (Path(loader.__file__).parent / "live.yaml").read_bytes()
    content = {"a": [np.arange(3.0)], "b": {1, 2}, "c": np.float32(1)}
    return {
        "event": (".jsonl", _event(), _read_event),
        "captions": (".vtt", _VTT.encode(), caption_files.read_file),
        "subtitles": (".srt", _VTT.encode().removeprefix(b"WEBVTT\n\n"), caption_files.read_file),
        "media": (
            ".mkv",
            CONVERSATION.read_bytes()[:200_000],
            _read_media,
        ),
        "corrections": (".json", _corrections(), corrections.read),
        "settings": (".yaml", setup, lambda path: loader.load(path, Settings)),
        "pickle": (".pkl", pickle.dumps(content, 2), unpickle.load),
        "card": (".json", card.read_bytes(), lambda path: checkpoint.read_card(weights)),
    }


def _read_media(path: Path) -> None:
    """Decodes a recording, with the captions in it, up to a number of messages."""
    source = RecordingSource(path, Recording())
    with contextlib.closing(source):
        source.open()
        taken, reached = 0, 0.0
        while taken < _MESSAGES and (messages := source.read()):
            taken += len(messages)
            for message in messages:
                if isinstance(message, Mark):
                    assert message.time >= reached, "time goes back"
                    reached = message.time


def _corrections() -> bytes:
    utterances = {1: corrections.Utterance(label="joy", speaker="Ada")}
    session = corrections.Session(speakers={"S1": "Ben"}, utterances=utterances)
    return corrections.encode(corrections.Corrections(sessions={"s": session}))


def _event() -> bytes:
    probabilities = {"neutral": 0.5, "joy": 0.5}
    modality = schema.Modality(present=True, probabilities=probabilities)
    return schema.encode(
        schema.UtteranceEvent(
            schema=schema.SCHEMA, session="s", seq=1,
            utterance=schema.UtteranceInfo(
                id=1, start=1.0, end=2.5, speaker="Ada", text="They said yes!",
                text_source="captions",
            ),
            emotion=schema.Emotion(
                label="joy", confidence=0.5, probabilities=probabilities, abstained=False
            ),
            modalities=schema.Modalities(text=modality, audio=modality, visual=modality),
            model=schema.ModelInfo(name="live", version="1"),
        )
    )  # fmt: skip


def _read_event(path: Path) -> None:
    try:
        line = in_words.describe(schema.decode(path.read_bytes()))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert in_words.printable(line) == line


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """An input with one to four changes: bytes changed, put in, left out, or the end cut off."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                data[at : at + chance.randrange(8)] = chance.choice(_PIECES)
            case 2:
                del data[at : at + chance.randrange(64)]
            case _:
                if chance.random() < 0.2:
                    del data[at:]
    return bytes(data)


def finding(read: Reader, path: Path) -> str | None:
    """What is wrong with how a reader takes a file, or None."""
    try:
        read(path)
    except (InputError, Failure) as error:
        return "the refusal has several lines" if "\n" in str(error) else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def fuzz(seed: int, more: Callable[[int], bool]) -> list[str]:
    """Rounds over all readers while `more(round)` holds. Returns the findings."""
    chance = random.Random(seed)
    findings = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = readers(folder)
        number = 0
        while more(number):
            number += 1
            for reader, (ending, whole, read) in table.items():
                path = folder / f"live{ending}"
                data = damaged(whole, chance)
                path.write_bytes(data)
                if wrong := finding(read, path):
                    findings.append(f"{reader}, round {number}: {wrong[:200]}\n  {data[:300]!r}")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 1 << 31)
    print(f"seed {seed}", flush=True)
    until = time.monotonic() + options.seconds
    rounds = 0

    def more(number: int) -> bool:
        nonlocal rounds
        rounds = number
        return time.monotonic() < until

    findings = fuzz(seed, more)
    print(*findings, sep="\n")
    print(f"{rounds} rounds, {len(findings)} findings, seed {seed}")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
