"""Utterances get their words and features once, or the reason why they have none."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gscon_live.model.encoders.speaker.speaker_clustering import SpeakerClustering
from gscon_live.model.encoders.text.text_encoder import TextEncoder
from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.listen.session_language import Language
from gscon_live.realtime.listen.transcriber import Transcriber
from gscon_live.realtime.listen.whisper import Outdated, Recognised, Windows
from gscon_live.realtime.pipeline import messages

law = settings(deadline=None, derandomize=True, max_examples=100)
Samples = NDArray[np.float32]
HELLO = Recognised("hello there")


class Counting:
    """An encoder, and a recogniser of words, of which one can see what it was given."""

    languages = ("en",)

    def __init__(self, answer: Recognised = HELLO) -> None:
        self.answer = answer
        self.given: list[object] = []
        self.learned: list[Recognised] = []

    def encode(self, what: object) -> Samples:
        self.given.append(what if isinstance(what, str) else np.asarray(what).tobytes())
        return np.full(2, len(self.given), np.float32)

    def has_words(self, text: str) -> bool:
        return any(map(str.isalnum, text))

    def provisional(self, text: str, speaker: str) -> Samples:
        """As a text encoder in its conversation: what is asked again costs nothing."""
        if self.last != (text, speaker):
            self.last = text, speaker
            self.encode(text)
        return np.full(2, len(self.given), np.float32)

    def final(self, text: str | Recognised, speaker: str = "") -> Samples | None:
        if isinstance(text, Recognised):
            self.learned.append(text)
            return None
        vector = self.provisional(text, speaker)
        self.conversation.append((text, speaker))
        self.last = None
        return vector

    def reset(self) -> None:
        self.conversation: list[tuple[str, str]] = []
        self.last: tuple[str, str] | None = None
        self.learned = []

    def __call__(
        self, samples: Samples, key: int, speaking: bool, outdated: Outdated, again: Windows
    ) -> Recognised:
        self.given.append(samples.tobytes())
        return self.answer


class Voices:
    """An audio encoder of which one can see whose voice it was given, and whose it learned."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def reset(self) -> None:
        self.usual: list[str] = []
        self.asked: list[str] = []

    def statistics(self, samples: Samples) -> Samples:
        self.given.append(samples.tobytes())
        return np.full(1, len(self.given), np.float32)

    def provisional(self, statistics: Samples, speaker: str) -> Samples:
        self.asked.append(speaker)
        return np.full(2, statistics[0], np.float32)

    def final(self, statistics: Samples, speaker: str) -> Samples:
        self.usual.append(speaker)
        return np.full(2, statistics[0], np.float32)


class Turns:
    """Two speakers who take turns, whatever they sound like."""

    def reset(self) -> None:
        self.heard = 0

    def provisional(self, audio: Samples) -> str:
        return f"S{self.heard % 2 + 1}"

    def final(self, audio: Samples) -> str:
        name = self.provisional(audio)
        self.heard += 1
        return name


class Parts:
    """A transcriber made of counting parts."""

    def __init__(self, answer: Recognised = HELLO, language: str | None = None) -> None:
        self.whisper, self.text, self.audio = Counting(answer), Counting(), Voices()
        self.speakers = Turns()
        self.stage = Transcriber(
            self.whisper,
            self.text,
            self.audio,
            self.speakers,
            language,  # type: ignore[arg-type]
        )

    def run(self, *given: object) -> list[object]:
        return [output for message in given for output in self.stage.process(message)]  # type: ignore[arg-type]

    @property
    def counts(self) -> tuple[int, int, int]:
        return len(self.whisper.given), len(self.text.given), len(self.audio.given)


def raw(value: float = 0.5, seconds: float = 0.1) -> bytes:
    return np.full(round(seconds * SAMPLE_RATE), value, "<f4").tobytes()


def segment(final: bool = True, **values: object) -> messages.Segment:
    return messages.Segment(
        **{
            "key": 7,
            "start": 1.0,
            "end": 2.0,
            "at": 2.5 if final else 2.16,
            "final": final,
            "audio": raw(),
            **values,
        }  # type: ignore[arg-type]
    )


def only(outputs: list[object]) -> messages.Utterance:
    (utterance,) = outputs
    assert isinstance(utterance, messages.Utterance)
    return utterance


def test_words_and_sound_become_features() -> None:
    parts = Parts()
    utterance = only(parts.run(segment(speaker="Ada")))
    assert (
        utterance.key,
        utterance.start,
        utterance.end,
        utterance.at,
        utterance.final,
        utterance.speaker,
    ) == (
        7,
        1.0,
        2.0,
        2.5,
        True,
        "Ada",
    )
    assert (utterance.text, utterance.text_source, utterance.missing) == ("hello there", "asr", {})
    assert utterance.text_features == utterance.audio_features == np.ones(2, np.float32).tobytes()
    assert parts.whisper.given == parts.audio.given == [raw()]
    assert parts.text.given == ["hello there"]


def test_words_of_captions_are_taken_as_they_are() -> None:
    parts = Parts()
    utterance = only(parts.run(segment(text="Good morning.")))
    assert (utterance.text, utterance.text_source, utterance.missing) == (
        "Good morning.",
        "captions",
        {},
    )
    assert parts.counts == (0, 1, 1)


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"audio": None, "text": "Hi."}, {"audio": "no audio track"}),
        ({"audio": raw(0.0), "text": "Hi."}, {"audio": "silence"}),
        ({"audio": b"", "text": "Hi."}, {"audio": "silence"}),
        ({"text": "", "final": False}, {"text": "the caption is not over yet"}),
        ({"text": ""}, {"text": "the caption has no words"}),
        ({"text": "  "}, {"text": "the caption has no words"}),
        ({"text": "♪ ..."}, {"text": "the caption has no words"}),
    ],
)
def test_what_is_missing_has_a_reason(values: dict[str, object], missing: dict[str, str]) -> None:
    utterance = only(Parts().run(segment(**values)))  # type: ignore[arg-type]
    assert utterance.missing == missing
    assert (utterance.text_features is None) == ("text" in missing)
    assert (utterance.audio_features is None) == ("audio" in missing)
    assert utterance.text_source == ("none" if "text" in missing else "captions")


def test_without_a_transcriber_there_are_no_words() -> None:
    audio, text = Voices(), Counting()
    stage = Transcriber(None, text, audio, Turns())  # type: ignore[arg-type]
    utterance = only(list(stage.process(segment())))
    assert (utterance.text, utterance.text_source, utterance.text_features) == ("", "none", None)
    assert utterance.missing == {"text": "no transcriber"}
    assert text.given == []
    assert len(audio.given) == 1


def test_words_that_are_not_believed_leave_their_reason() -> None:
    utterance = only(Parts(Recognised("", "the recogniser repeated itself")).run(segment()))
    assert (utterance.text, utterance.text_source, utterance.text_features) == ("", "none", None)
    assert utterance.missing == {"text": "the recogniser repeated itself"}
    assert utterance.audio_features is not None


def test_work_ahead_is_not_done_again() -> None:
    parts = Parts()
    ahead, final = map(only, (parts.run(segment(final=False)), parts.run(segment())))
    assert parts.counts == (1, 1, 1)
    assert (ahead.final, ahead.at, final.final, final.at) == (False, 2.16, True, 2.5)
    for name in ("key", "start", "end", "text", "text_source", "text_features", "audio_features"):
        assert getattr(ahead, name) == getattr(final, name)
    assert parts.stage.gauges()["reused"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"end": 3.0, "audio": raw(seconds=0.2)},
        {"end": 3.0},
        {"key": 8},
        {"start": 0.9},
        {"audio": raw(0.25)},
        {"text": "Good morning."},
    ],
)
def test_work_ahead_is_thrown_away_when_it_was_for_something_else(
    changed: dict[str, object],
) -> None:
    parts = Parts()
    parts.run(segment(final=False))
    utterance = only(parts.run(segment(**changed)))  # type: ignore[arg-type]
    assert parts.counts[2] == 2
    assert utterance.audio_features == np.full(2, 2, np.float32).tobytes()
    assert parts.stage.gauges()["reused"] == 0


def test_a_caption_without_words_says_so_when_it_is_over() -> None:
    parts = Parts()
    parts.run(segment(final=False, text=""))
    assert only(parts.run(segment(text=""))).missing == {"text": "the caption has no words"}


def test_after_a_reset_or_an_end_nothing_is_reused() -> None:
    parts = Parts()
    parts.run(segment(final=False))
    parts.stage.reset()
    parts.run(segment())
    parts.run(segment())
    assert parts.counts == (3, 3, 3)


scripts = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans(), st.integers(1, 2)), max_size=12
)


class Plain:
    """An encoder whose answer depends on nothing but what it is given."""

    def encode(self, what: str | Samples) -> Samples:
        given = what.encode() if isinstance(what, str) else what.tobytes()
        return np.array([len(given), sum(given)], np.float32)


class InContext(Plain):
    """A text encoder whose answer depends on what was said before."""

    def reset(self) -> None:
        self.before = 0.0

    def provisional(self, text: str, speaker: str) -> Samples:
        return self.encode(text) + np.float32(self.before)

    def final(self, text: str, speaker: str) -> Samples:
        vector = self.provisional(text, speaker)
        self.before = float(vector[1])
        return vector


class VoicesInContext(Plain):
    """An audio encoder whose answer depends on what the speaker sounded like before."""

    def reset(self) -> None:
        self.before: dict[str, float] = {}

    def statistics(self, samples: Samples) -> Samples:
        return self.encode(samples)

    def provisional(self, statistics: Samples, speaker: str) -> Samples:
        known = np.float32(self.before.get(speaker, 0.0))
        return np.append(statistics[:2], statistics[1] + known).astype(np.float32)

    def final(self, statistics: Samples, speaker: str) -> Samples:
        vector = self.provisional(statistics, speaker)
        self.before[speaker] = float(vector[2])
        return vector


class Spelling:
    """A recogniser that writes the loudness."""

    def __call__(
        self, samples: Samples, key: int, speaking: bool, outdated: Outdated, again: Windows
    ) -> Recognised:
        return Recognised(f"loud {samples[0]:.2f}")

    def final(self, recognised: Recognised) -> None:
        pass

    def reset(self) -> None:
        pass


@law
@given(scripts)
def test_working_ahead_changes_no_final_answer(script: list[tuple[int, int, bool, int]]) -> None:
    given = [
        segment(final, key=key, end=float(end + key), audio=raw(loud / 4, 0.01))
        for key, end, final, loud in script
    ]

    def answers(chosen: Iterable[messages.Segment]) -> list[object]:
        stage = Transcriber(Spelling(), InContext(), VoicesInContext(), Turns())  # type: ignore[arg-type]
        outputs = [output for message in chosen for output in stage.process(message)]
        return [
            message
            for message in outputs
            if isinstance(message, messages.Utterance) and message.final
        ]

    assert answers(given) == answers(message for message in given if message.final)


def test_what_is_no_segment_passes_in_order_except_the_end() -> None:
    others = [
        messages.SpeechStarted(7, 1.0),
        messages.Mark(1.0, "segment"),
        messages.Dropped(1.0, "audio", 1, 0.5, "overflow"),
        messages.Restarted("segment"),
    ]
    parts = Parts()
    outputs = parts.run(*others[:2], segment(), messages.End("segment", 3.0), *others[2:])
    assert [message for message in outputs if not isinstance(message, messages.Utterance)] == others
    assert isinstance(outputs[2], messages.Utterance)
    assert list(parts.stage.flush()) == []


def test_a_provisional_segment_is_stale_when_its_successor_is_here() -> None:
    stale = Parts().stage.stale
    ahead, longer = segment(final=False), segment(end=3.0)
    assert stale(ahead, [messages.Mark(2.2, "segment"), longer])
    # The same end: the work will be used for the final one.
    assert not stale(ahead, [segment()])
    assert not stale(ahead, [])
    assert not stale(ahead, [segment(end=3.0, key=8)])
    # What is final is never left out, nor what is no segment.
    assert not stale(segment(), [longer])
    assert not stale(messages.Mark(1.0, "segment"), [longer])


def test_provisional_work_is_left_off_when_it_is_out_of_date() -> None:
    parts = Parts()
    waiting: list[messages.AnyMessage] = []
    parts.stage.attend(lambda: waiting)
    assert len(parts.run(segment(final=False))) == 1
    waiting.append(segment(end=3.0))
    assert parts.run(segment(final=False, end=2.5)) == []
    # The words may have been read; the features were not.
    assert len(parts.audio.given) == 1
    assert only(parts.run(segment(end=2.7))).final


def test_work_is_timed_by_the_clock_that_is_given() -> None:
    ticks = iter([10.0, 10.5, 10.75])
    stage = Transcriber(Counting(), Counting(), Voices(), Turns(), clock=lambda: next(ticks))  # type: ignore[arg-type]
    utterance = only(list(stage.process(segment())))
    assert utterance.timing == messages.Timing(transcription=0.5, features=0.25)
    assert stage.gauges()["busy"] == 0.75
    assert only(Parts().run(segment())).timing == messages.Timing()


def test_what_was_said_is_remembered_once_and_in_order() -> None:
    parts = Parts()
    parts.run(segment(final=False), segment(), segment(key=8, text="Fine.", speaker="Ada"))
    parts.run(segment(key=9, final=False), segment(key=9, final=False, end=2.5))
    assert parts.text.conversation == [("hello there", "S1"), ("Fine.", "Ada")]
    assert parts.speakers.heard == 1
    parts.stage.reset()
    assert parts.text.conversation == []
    assert parts.speakers.heard == 0


def test_who_is_named_keeps_the_name_and_others_are_told_apart_by_their_sound() -> None:
    parts = Parts()
    said = [segment(), segment(key=8, speaker="Ada"), segment(key=9), segment(key=10, audio=None)]
    names = [
        message.speaker for message in parts.run(*said) if isinstance(message, messages.Utterance)
    ]
    assert names == ["S1", "Ada", "S2", None]


@pytest.mark.parametrize(
    "written", ["Don't forget a jacket!", "Don't forget a jacket.", "don't forget a jacket"]
)
def test_marks_that_a_recogniser_writes_by_chance_are_shown_but_not_read(written: str) -> None:
    parts = Parts(Recognised(written))
    utterance = only(parts.run(segment()))
    assert utterance.text == written
    assert parts.text.conversation == [("don't forget a jacket", "S1")]
    captioned = Parts()
    captioned.run(segment(text=written))
    assert captioned.text.conversation == [(written, "S1")]


class KnownFirst:
    """The first speaker is enrolled, and known from the second utterance on."""

    def reset(self) -> None:
        self.heard = 0

    def provisional(self, speaker: str, audio: Samples) -> str:
        return "Anna" if speaker == "S1" and self.heard else speaker

    def final(self, speaker: str, audio: Samples) -> str:
        name = self.provisional(speaker, audio)
        self.heard += 1
        return name


def test_enrolled_names_are_shown_and_the_encoders_know_a_speaker_by_one_name() -> None:
    parts = Parts()
    stage = Transcriber(
        parts.whisper, parts.text, parts.audio, parts.speakers,
        enrolled=KnownFirst(),
    )  # type: ignore[arg-type]  # fmt: skip
    given = [segment(key=1), segment(key=2), segment(key=3), segment(key=4, speaker="S1")]
    said = [output for message in given for output in stage.process(message)]
    names = [message.speaker for message in said if isinstance(message, messages.Utterance)]
    # Captions have the last word.
    assert names == ["S1", "S2", "Anna", "S1"]
    assert parts.audio.usual == ["S1", "S2", "S1", "S1"]
    assert [speaker for _, speaker in parts.text.conversation] == ["S1", "S2", "S1", "S1"]


def test_a_speakers_usual_voice_is_learned_from_final_utterances_alone() -> None:
    parts = Parts()
    parts.run(segment(final=False, key=1), segment(key=1), segment(key=2, speaker="Ada"))
    assert parts.audio.usual == ["S1", "Ada"]
    # Work ahead is not done again for the final utterance.
    assert parts.audio.asked == ["S1", "Ada"]
    parts.run(segment(key=3, audio=None, speaker="Ada"))
    assert parts.audio.usual == ["S1", "Ada"]
    parts.stage.reset()
    assert parts.audio.usual == []


def test_words_of_another_language_are_shown_and_not_read() -> None:
    parts = Parts(Recognised("Ich bin so froh", language=Language("de", 0.93)))
    utterance = only(parts.run(segment()))
    assert (utterance.text, utterance.text_source) == ("Ich bin so froh", "asr")
    assert utterance.language == ("de", 0.93)
    assert utterance.text_features is None
    assert utterance.audio_features is not None
    assert utterance.missing == {
        "text": "the words are German; emotions are read from English words only"
    }
    assert parts.text.given == []


def test_translated_words_are_read() -> None:
    heard = Recognised("I am so glad", language=Language("de", 0.93), translated=True)
    utterance = only(Parts(heard).run(segment()))
    assert (utterance.text, utterance.language) == ("I am so glad", ("de", 0.93))
    assert utterance.text_features is not None
    assert utterance.missing == {}


def test_captions_of_another_language_are_shown_and_not_read() -> None:
    parts = Parts(language="fr")
    utterance = only(parts.run(segment(text="Quelle joie !")))
    assert (utterance.text, utterance.text_source) == ("Quelle joie !", "captions")
    assert utterance.text_features is None
    assert utterance.missing["text"].startswith("the words are French")
    assert only(Parts(language="en").run(segment(text="What joy!"))).text_features is not None


def test_english_words_are_read_and_their_language_is_told() -> None:
    utterance = only(Parts(Recognised("So glad", language=Language("en", 0.8))).run(segment()))
    assert (utterance.language, utterance.missing) == (("en", 0.8), {})
    assert utterance.text_features is not None
    assert only(Parts().run(segment(text="So glad"))).language is None


def test_the_language_is_learned_from_final_utterances_once() -> None:
    first = Recognised("hello there", language=Language("en", 0.8))
    parts = Parts(first)
    parts.run(segment(final=False))
    assert parts.whisper.learned == []
    parts.run(segment())
    assert parts.whisper.learned == [first]
    parts.run(segment(key=2, text="a caption"))
    assert parts.whisper.learned == [first]


def test_the_real_encoders_make_features_of_their_lengths() -> None:
    text, audio = TextEncoder(), AudioEncoder()
    stage = Transcriber(None, text, audio, SpeakerClustering(4))
    noise = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype("<f4")
    given = segment(audio=noise.tobytes(), text="I am so happy!")
    utterance = only(list(stage.process(given)))
    text.reset()
    assert utterance.missing == {}
    assert utterance.text_features == text.final("I am so happy!", "S1").tobytes()
    audio.reset()
    heard = audio.final(audio.statistics(noise), "S1")
    assert utterance.audio_features == heard.tobytes()
    assert len(utterance.text_features) == text.dim * 4
    assert len(utterance.audio_features) == audio.dim * 4
    other = only(list(stage.process(segment(audio=noise.tobytes(), text="I am so sad."))))
    assert other.text_features != utterance.text_features


def test_who_speaks_at_once_with_another_is_worked_on_ahead_too() -> None:
    parts = Parts()
    first = {"key": 1, "speaker": "S1", "audio": raw(0.1)}
    second = {"key": 2, "speaker": "S2", "audio": raw(0.2)}
    parts.run(segment(final=False, **first), segment(final=False, **second))
    assert len(parts.whisper.given) == 2
    (ended,) = parts.run(segment(**second))
    assert isinstance(ended, messages.Utterance)
    assert ended.speaker == "S2"
    assert len(parts.whisper.given) == 2, "what was read at the pause is used"
    # The first one's words now follow on the second one's.
    parts.run(segment(**first))
    assert len(parts.whisper.given) == 3


def listening(given: list[bytes]) -> Transcriber:
    """A transcriber to which half a second of every sound is an overlap."""

    def overlap(samples: Samples) -> float:
        given.append(samples.tobytes())
        return 0.5

    parts = Parts()
    return Transcriber(parts.whisper, parts.text, parts.audio, parts.speakers, overlap=overlap)  # type: ignore[arg-type]


def test_an_utterance_is_asked_once_whether_two_speak_in_it() -> None:
    given: list[bytes] = []
    stage = listening(given)
    speaking = segment(final=False, end=1.5, at=1.5)
    (so_far,) = stage.process(speaking)
    (paused,) = stage.process(segment(final=False))
    (final,) = stage.process(segment())
    assert [one.overlap for one in (so_far, paused, final)] == [None, 0.5, 0.5]  # type: ignore[union-attr]
    assert len(given) == 1


def test_the_overlap_is_at_most_the_utterance_and_that_of_channels_is_kept() -> None:
    given: list[bytes] = []
    stage = listening(given)
    (short,) = stage.process(segment(end=1.3))
    assert short.overlap == 0.3  # type: ignore[union-attr]
    (known,) = stage.process(segment(overlap=0.25))
    assert known.overlap == 0.25  # type: ignore[union-attr]
    (silent,) = stage.process(segment(text="Hi.", audio=None))
    assert silent.overlap is None  # type: ignore[union-attr]
    assert len(given) == 1
