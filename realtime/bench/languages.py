"""Whether the language of a session is heard rightly.

    python -m realtime.bench.languages ~/models/whisper-base
    python -m realtime.bench.languages ~/models/whisper-base --data ../shared/data

Sentences in eight languages are spoken by eSpeak NG, which must be installed, five voices each.
The voices are synthetic. With `--data`, people speak: the corpora of `PEOPLE`, most of them with
acted emotions. Each session is one voice, read as in a live session: utterance by utterance. The
language that is held at the end counts, and the words that passed for English.
"""

import io
import random
import re
import shutil
import subprocess
import wave
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from gscon_live.common import cli
from gscon_live.common.errors import Failure, InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.bench import whisper_model
from gscon_live.realtime.listen.session_language import HOLD
from gscon_live.realtime.listen.whisper import ENGLISH, Whisper

EXAMPLES = """
python -m realtime.bench.languages base
python -m realtime.bench.languages ~/models/whisper-base --json
python -m realtime.bench.languages base --data ../shared/data
"""
#: Recordings of people by language: a ZIP of clips in the folder of the corpora, and where a clip's
#: name has its speaker. EMO-DB, nEMO and URDU have emotions, LibriSpeech is read.
PEOPLE = {
    "en": ("speech/librispeech_10x10.zip", r"(\d+)/.*\.flac"),
    "de": ("voice/emodb_16k.zip", r"(\d\d).*\.flac"),
    "pl": ("voice/nemo_16k.zip", r"([^_]+)_.*\.opus"),
    "ur": ("voice/urdu_16k.zip", r"[^_]+_(S[MF]\d+)_.*\.opus"),
}
#: Sentences by language, said one after the other and again until `HOLD` seconds are full.
SENTENCES = {
    "en": (
        "I did not expect to see you here today.",
        "The train was late again, so we walked home in the rain.",
        "My sister has bought a small house near the river.",
        "Could you please tell me where the station is?",
    ),
    "de": (
        "Ich habe nicht erwartet, dich heute hier zu sehen.",
        "Der Zug hatte wieder Verspätung, deshalb sind wir im Regen nach Hause gegangen.",
        "Meine Schwester hat ein kleines Haus am Fluss gekauft.",
        "Können Sie mir bitte sagen, wo der Bahnhof ist?",
    ),
    "fr": (
        "Je ne m'attendais pas à te voir ici aujourd'hui.",
        "Le train était encore en retard, alors nous sommes rentrés à pied sous la pluie.",
        "Ma sœur a acheté une petite maison près de la rivière.",
        "Pourriez-vous me dire où se trouve la gare ?",
    ),
    "es": (
        "No esperaba verte aquí hoy.",
        "El tren llegó tarde otra vez, así que volvimos a casa andando bajo la lluvia.",
        "Mi hermana ha comprado una casa pequeña cerca del río.",
        "¿Podría decirme dónde está la estación, por favor?",
    ),
    "it": (
        "Non mi aspettavo di vederti qui oggi.",
        "Il treno era di nuovo in ritardo, così siamo tornati a casa a piedi sotto la pioggia.",
        "Mia sorella ha comprato una piccola casa vicino al fiume.",
        "Mi può dire dove si trova la stazione, per favore?",
    ),
    "pl": (
        "Nie spodziewałem się dzisiaj ciebie tutaj zobaczyć.",
        "Pociąg znowu się spóźnił, więc wróciliśmy do domu pieszo w deszczu.",
        "Moja siostra kupiła mały dom nad rzeką.",
        "Czy może mi pan powiedzieć, gdzie jest dworzec?",
    ),
    "ru": (
        "Я не ожидал увидеть тебя здесь сегодня.",
        "Поезд опять опоздал, поэтому мы пошли домой пешком под дождём.",
        "Моя сестра купила маленький дом у реки.",
        "Скажите, пожалуйста, где находится вокзал?",
    ),
    "tr": (
        "Bugün seni burada görmeyi beklemiyordum.",
        "Tren yine gecikti, bu yüzden yağmurda eve yürüdük.",
        "Kız kardeşim nehrin yanında küçük bir ev satın aldı.",
        "Bana istasyonun nerede olduğunu söyler misiniz?",
    ),
}
#: The voices of eSpeak NG, and their speeds in words per minute and pitches from 0 to 99.
VOICES = (("m1", 150, 45), ("f2", 160, 55), ("m3", 140, 35), ("f4", 150, 60), ("m7", 170, 50))
#: Utterances of a session, at least.
_LEAST = 4

Samples = NDArray[np.float32]


class Held(NamedTuple):
    """The language of a session: that which was spoken, that which was held, its probability, and
    how many of the utterances with words passed for English."""

    spoken: str
    voice: str
    held: str
    probability: float
    english: int
    utterances: int


def spoken(text: str, language: str, voice: int) -> Samples:
    """A sentence by eSpeak NG, mono at 16 kHz. Raises `InputError` if that is not installed."""
    if shutil.which("espeak-ng") is None:
        raise InputError("espeak-ng: not installed; install it, for example apt install espeak-ng")
    name, speed, pitch = VOICES[voice]
    command = ["espeak-ng", "-v", f"{language}+{name}", "-s", str(speed), "-p", str(pitch)]
    done = subprocess.run([*command, "--stdout", text], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise Failure(f"espeak-ng: cannot speak {language}: {done.stderr.decode().strip()}")
    with wave.open(io.BytesIO(done.stdout)) as file:
        rate = file.getframerate()
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
    frame.sample_rate = rate
    return _mono([frame])


def people(data: Path, seed: int = 0) -> dict[str, dict[str, Iterator[Samples]]]:
    """The clips of each speaker by language, in random order; those who are heard for less than
    `HOLD` seconds are left out. Raises `InputError` where a corpus is missing."""
    every: dict[str, dict[str, Iterator[Samples]]] = {}
    for language, (place, pattern) in PEOPLE.items():
        path = data / place
        if not path.is_file():
            raise InputError(f"{path}: no such file; give the folder of the corpora with --data")
        every[language] = {
            speaker: iter(own)
            for speaker, own in sorted(_by_speaker(path, pattern, seed).items())
            if sum(map(len, own)) >= HOLD * SAMPLE_RATE
        }
    return every


def _by_speaker(path: Path, pattern: str, seed: int) -> dict[str, list[Samples]]:
    """The clips of an archive, whose names tell the speaker; enough of each for a session, which
    has `_LEAST` utterances even where they are long."""
    by_speaker: dict[str, list[Samples]] = {}
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        random.Random(seed).shuffle(names)
        for parts in filter(None, (re.fullmatch(pattern, name) for name in names)):
            own = by_speaker.setdefault(parts[1], [])
            if sum(map(len, own)) < 2 * HOLD * SAMPLE_RATE:
                with av.open(io.BytesIO(archive.read(parts[0]))) as media:
                    own.append(_mono(media.decode(audio=0)))
    return by_speaker


def _mono(frames: Iterable[av.AudioFrame]) -> Samples:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    parts = [part for frame in [*frames, None] for part in resampler.resample(frame)]
    return np.concatenate([part.to_ndarray()[0] for part in parts]).astype(np.float32)


def synthetic(language: str, voice: int) -> Iterator[Samples]:
    """The sentences of a language by a voice of eSpeak NG, again and again."""
    sentences = SENTENCES[language]
    return (spoken(sentences[number % len(sentences)], language, voice) for number in count())


def session(whisper: Whisper, language: str, voice: str, sounds: Iterator[Samples]) -> Held:
    """What Whisper holds for the language of one voice, after `HOLD` seconds or a little more, and
    four utterances."""
    whisper.reset()
    seconds, english, utterances = 0.0, 0, 0
    held, probability = "", 0.0
    for number, sound in enumerate(sounds):
        if seconds >= HOLD and number >= _LEAST:
            break
        recognised = whisper(sound)
        whisper.final(recognised)
        if recognised.language is not None:
            held, probability = recognised.language
        if recognised.text:
            utterances += 1
            english += held == ENGLISH
        seconds += len(sound) / SAMPLE_RATE
    return Held(language, voice, held, probability, english, utterances)


def measure(whisper: Whisper, data: Path | None = None) -> dict[str, Any]:
    """All languages and voices: synthetic ones, or the people in a folder of corpora."""
    if data is None:
        voices = {
            language: {
                name: synthetic(language, number) for number, (name, _, _) in enumerate(VOICES)
            }
            for language in SENTENCES
        }
    else:
        voices = people(data)
    sessions = [
        session(whisper, language, voice, sounds)
        for language, own in voices.items()
        for voice, sounds in own.items()
    ]
    right = [row.held == row.spoken for row in sessions]
    foreign = [row for row in sessions if row.spoken != ENGLISH]
    return {
        "sessions": len(sessions),
        "held_right": round(float(np.mean(right)), 3),
        "sessions_by_language": {language: len(own) for language, own in voices.items()},
        "utterances_not_english": sum(row.utterances for row in foreign),
        "taken_for_english": sum(row.english for row in foreign),
        "wrong": [row._asdict() for row, well in zip(sessions, right, strict=True) if not well],
    }


def main(arguments: Sequence[str]) -> None:
    """Entry point."""
    parser = cli.parser(
        "python -m realtime.bench.languages", "Measures the language of sessions.", EXAMPLES
    )
    whisper_model.add_arguments(parser, "a Whisper model for many languages")
    parser.add_argument("--data", type=Path, help="folder of the corpora: people, not eSpeak NG")
    chosen = parser.parse_args(arguments)
    directory, settings = whisper_model.chosen_model(chosen.model, chosen.overrides)
    figures = measure(Whisper(directory, settings.transcription), chosen.data)
    if chosen.json:
        print(msgspec.json.encode(figures).decode())
        return
    print(
        f"{figures['sessions']} sessions: held language right in {figures['held_right']:.1%}; "
        f"of {figures['utterances_not_english']} utterances in other languages, "
        f"{figures['taken_for_english']} were taken for English"
    )
    for row in figures["wrong"]:
        print(f"  {row['spoken']}+{row['voice']}: {row['held']} ({row['probability']:.2f})")


if __name__ == "__main__":
    cli.program(main)
