"""Events for tests: generated ones, and a session as the pipeline would publish it."""

import random
from collections.abc import Iterator

from hypothesis import strategies as st

from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.schema import AnyEvent

SCHEMA = schema.SCHEMA
MODEL = schema.ModelInfo(name="live", version="1.0")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
words = st.one_of(
    texts, st.sampled_from(["a --> b & c", "<script>x</script>", "=1+1", '"q", x\n\ny'])
)
times = st.floats(0, 100_000, allow_nan=False).map(lambda value: round(value, 3))
probabilities = st.lists(
    st.floats(0, 1, allow_nan=False), min_size=len(EMOTIONS), max_size=len(EMOTIONS)
).map(lambda values: dict(zip(EMOTIONS, values, strict=True)))
numbers = st.integers(0, 10**9)
common = {"schema": st.just(SCHEMA), "session": texts, "seq": numbers}

modality = st.one_of(
    st.builds(schema.Modality, present=st.just(True), probabilities=probabilities,
              reason=st.none(), face=st.none() | st.integers(0, 9),
              faces=st.none() | st.integers(1, 9)),
    st.builds(schema.Modality, present=st.just(False), probabilities=st.none(), reason=texts,
              face=st.none(), faces=st.none()),
)  # fmt: skip
latency = st.builds(schema.Latency, **dict.fromkeys(schema.Latency.__struct_fields__, times))
answered = {
    **common,
    "utterance": st.builds(
        schema.UtteranceInfo, id=numbers, start=times, end=times, speaker=texts, text=words,
        text_source=st.sampled_from(["captions", "asr", "none"]),
    ),
    "emotion": st.builds(
        schema.Emotion, label=st.sampled_from(EMOTIONS), confidence=st.floats(0, 1),
        probabilities=probabilities, abstained=st.booleans(), prior=st.none() | probabilities,
    ),
    "modalities": st.builds(schema.Modalities, text=modality, audio=modality, visual=modality),
    "model": st.builds(schema.ModelInfo, name=texts, version=texts),
    "latency": st.none() | latency,
}  # fmt: skip
utterances = st.builds(schema.UtteranceEvent, **answered)
any_event: st.SearchStrategy[AnyEvent] = st.one_of(
    utterances,
    st.builds(schema.Provisional, **answered),
    st.builds(schema.SessionStarted, **common, source=texts, emotions=st.just(list(EMOTIONS)),
              model=answered["model"], started_at=st.none() | texts),
    st.builds(schema.SessionEnded, **common, duration=times, utterances=numbers,
              complete=st.booleans()),
    st.builds(schema.SpeechStarted, **common, utterance=numbers, start=times),
    st.builds(schema.Gap, **common, time=times, count=numbers, seconds=times, reason=texts,
              what=st.sampled_from(["audio", "frames", "utterance", "caption", "events"])),
    st.builds(schema.Health, **common, time=times, stage=texts, detail=texts,
              status=st.sampled_from(["failed", "restarted", "behind", "recovered", "lost"])),
    st.builds(schema.FaceEvent, **common, time=times, faces=st.lists(st.builds(
        schema.TrackedFace, track=numbers, box=st.tuples(*[st.floats(0, 1)] * 4),
        speaks=st.booleans(), probabilities=st.none() | probabilities,
    ), max_size=3)),
)  # fmt: skip

LINES = (
    ("Ben", "neutral", "Good morning, Ada. The post came at nine."),
    ("Ada", "surprise", "Oh my God, a letter from the university? Wow, already?"),
    ("Ada", "fear", "I am so scared to open it, Ben. What if they say no?"),
    ("Ben", "neutral", "Give it to me, then. I will read it to you."),
    ("Ada", "joy", "They said yes! I am so happy, this is the best day of my life!"),
    ("Ben", "sadness", "I am sorry, I just feel so sad, and I will miss you terribly."),
    ("Ada", "neutral", "Wait a minute, I will put the kettle on."),
    ("Ben", "anger", "No! That is my cup! I hate it when you take my things!"),
    ("Ada", "disgust", "Ugh, something green is growing in it. That is disgusting."),
    ("Ben", "joy", "Ha, keep it! Congratulations, Ada, I am so proud of you!"),
)


def conversation(utterances: int = 10, seed: int = 0) -> Iterator[AnyEvent]:
    """A whole session with everything in it: missing modalities, abstention, a gap, health."""
    chance = random.Random(seed)
    head = {"schema": SCHEMA, "session": f"{seed:08x}"}
    seq = iter(range(1_000_000))
    yield schema.SessionStarted(
        **head, seq=next(seq), source="replay of conversation.mkv", emotions=list(EMOTIONS),
        model=MODEL,
    )  # fmt: skip
    at = 1.0
    for number in range(utterances):
        speaker, label, text = LINES[number % len(LINES)]
        end = at + len(text) / 15
        yield schema.SpeechStarted(**head, seq=next(seq), utterance=number, start=at)
        fused = _spread(chance, label, 2.6)
        best = max(fused, key=lambda name: fused[name])
        no_words, no_face = number % 10 == 3, number % 10 in (6, 7)
        shape = {
            "utterance": schema.UtteranceInfo(
                id=number, start=round(at, 3), end=round(end, 3), speaker=speaker,
                text="" if no_words else text, text_source="none" if no_words else "captions",
            ),
            "emotion": schema.Emotion(
                label=best, confidence=fused[best], probabilities=fused,
                abstained=fused[best] < 0.35,
            ),
            "modalities": schema.Modalities(
                text=_gone("no words") if no_words else _opinion(chance, label, 2.2),
                audio=_opinion(chance, label, 1.2),
                visual=_gone("no face in view") if no_face else _opinion(chance, "joy", 1.0, 1),
            ),
            "model": MODEL,
        }  # fmt: skip
        yield schema.Provisional(**head, seq=next(seq), **shape)
        yield schema.UtteranceEvent(**head, seq=next(seq), **shape)
        if number == 4:
            yield schema.Gap(**head, seq=next(seq), time=end, what="frames", count=7, seconds=0.7,
                             reason="the face stage fell behind")  # fmt: skip
            yield schema.Health(**head, seq=next(seq), time=end, stage="watch", status="restarted",
                                detail="no answer for 2 s")  # fmt: skip
        at = end + chance.uniform(0.9, 1.5)
    yield schema.SessionEnded(
        **head, seq=next(seq), duration=round(at, 3), utterances=utterances, complete=True
    )


def _spread(chance: random.Random, label: str, weight: float) -> dict[str, float]:
    raw = {name: 2.718 ** (chance.gauss(0, 0.8) + weight * (name == label)) for name in EMOTIONS}
    return {name: round(value / sum(raw.values()), 4) for name, value in raw.items()}


def _opinion(
    chance: random.Random, label: str, weight: float, face: int | None = None
) -> schema.Modality:
    return schema.Modality(
        present=True, probabilities=_spread(chance, label, weight), face=face, faces=face
    )


def _gone(reason: str) -> schema.Modality:
    return schema.Modality(present=False, reason=reason)
