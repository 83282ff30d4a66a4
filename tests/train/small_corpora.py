"""Small corpora in the layout of the real ones: sample speech as emotional voices, and patterns as
faces with votes."""

import csv
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import made_faces
import made_show
import numpy as np
from made_faces import EMOTION_NAMES, Face
from numpy.typing import NDArray
from sound import recorded

from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime import sample


def write(folder: Path) -> None:
    """Writes MELD, IEMOCAP, four corpora of voices, readers, FER2013 and FER+ into a new folder."""
    made_show.write(folder / "erc")
    meld = (folder / "erc" / "meld.csv").read_text(encoding="utf-8")
    iemocap = meld.replace(",joy,", ",excited,").replace(",anger,", ",frustrated,")
    (folder / "erc" / "iemocap.csv").write_text(iemocap, encoding="utf-8")
    speech = _speech()
    (folder / "voice").mkdir()
    (folder / "speech").mkdir()
    ravdess = [
        f"03-01-{emotion:02}-01-01-01-{actor:02}.flac"
        for actor in (1, 2, 17, 21)
        for emotion in range(1, 9)
    ]
    emodb = [f"{actor:02}a01{letter}a.flac" for actor in (3, 8, 12, 15) for letter in "WEAFTN"]
    _zip(folder / "voice/ravdess_speech_16k.zip", {name: next(speech) for name in ravdess})
    _zip(folder / "voice/emodb_16k.zip", {name: next(speech) for name in emodb})
    _write_nemo(folder / "voice/nemo_16k.zip", speech)
    urdu = [f"{emotion}_SF1_F1_{emotion}.opus" for emotion in ("angry", "happy", "neutral", "sad")]
    _zip(folder / "voice/urdu_16k.zip", {name: next(speech) for name in urdu})
    readers = [f"{speaker}/{speaker}-{clip}.flac" for speaker in (10, 20) for clip in range(2)]
    _zip(folder / "speech/librispeech_10x10.zip", {name: next(speech) for name in readers})
    made_faces.write(folder / "face", _faces())


def _write_nemo(path: Path, speech: Iterator[bytes]) -> None:
    table = io.StringIO()
    writer = csv.writer(table, delimiter="\t")
    writer.writerow(("file", "emotion", "text", "speaker", "gender", "age"))
    files = {}
    for speaker, gender in (("AB0", "female"), ("CD0", "male"), ("MK0", "female"), ("SM0", "male")):
        for emotion in ("anger", "fear", "happiness", "neutral", "sadness", "surprised"):
            name = f"{speaker}_{emotion}_1.opus"
            writer.writerow((name, emotion, "Tak.", speaker, gender, 30))
            files[name] = next(speech)
    _zip(path, {"data.tsv": table.getvalue().encode(), **files})


def _faces() -> list[Face]:
    """Three pictures of each emotion in a split; more for validation, which networks share between
    training and validation. The first test picture of all is a copy of one of
    the training's."""
    random = np.random.default_rng(4)
    faces: list[Face] = []
    for split in ("Training", "PublicTest", "PrivateTest"):
        for label, vote in EMOTION_NAMES.items():
            for number in range(12 if split == "PublicTest" else 3):
                face = random.integers(0, 255, (6, 6)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
                if (split, label, number) == ("PrivateTest", "neutral", 0):
                    face = faces[0].pixels
                faces.append(Face(split, label, face, {vote: 8, "unknown": 2}))
    return faces


def _zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _speech() -> Iterator[bytes]:
    """Pieces of the sample conversation of two seconds as FLAC, without end."""
    sound = recorded(sample.CONVERSATION)[: 24 * SAMPLE_RATE]
    number = 0
    while True:
        start = (number * 7919) % (len(sound) - 2 * SAMPLE_RATE)
        yield _flac(sound[start : start + 2 * SAMPLE_RATE])
        number += 1


def _flac(samples: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        whole = (np.clip(samples, -1, 1) * 32_767).astype(np.int16)
        for frame in [_frame(whole), None]:
            container.mux(stream.encode(frame))
    return file.getvalue()


def _frame(samples: NDArray[np.int16]) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    return frame
