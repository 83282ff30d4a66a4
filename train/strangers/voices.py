"""The voice on corpora that its network never heard, cut as the live pipeline cuts it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gscon_live.model.encoders.voice.audio_encoder import AudioEncoder
from gscon_live.model.encoders.voice.speaker_baseline import SpeakerBaseline
from gscon_live.model.encoders.voice.voice_network import load_voice_network
from gscon_live.model.labels import EMOTIONS
from gscon_live.model.speech.utterances import longest_utterance
from gscon_live.model.speech.voice_activity import VoiceActivity
from gscon_live.train.corpora import corpus_file, librispeech, ravdess_emodb
from gscon_live.train.corpora.voice_corpora import VOICE_CORPORA
from gscon_live.train.data import cache
from gscon_live.train.data.feature_banks import cached, fingerprint
from gscon_live.train.encoders.voice import relative_data, relative_training
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.encoders.voice.relative_data import READERS, Voices
from gscon_live.train.encoders.voice.relative_training import AFTER, RelativeVoiceRecipe
from gscon_live.train.encoders.voice.voice_cache import VoiceNets
from gscon_live.train.progress import Report
from gscon_live.train.recipes import as_written
from gscon_live.train.scoring.stranger_scores import StrangerScores, at_prior, stranger_scores

#: The training corpora of the voice encoder that ships: where one is left out, it is trained anew.
TRAINED_ON = ("ravdess", "emodb")
_READERS = "voice: neutral readers (librispeech)"
#: Version of the cached features.
_VERSION = 1
#: Seed of the order in which clips are spoken.
_ORDER = 5


@dataclass(frozen=True)
class VoiceFeatures:
    """A corpus by an encoder that never heard it.

    Features [n, dim] of the complete clips (`full`), and of the longest utterance that is cut out
    of each (`cut`); in which clips there is one (`detected`), bool [n]; speakers, genders and
    emotions, [n].
    """

    full: NDArray[np.float32]
    cut: NDArray[np.float32]
    detected: NDArray[np.bool_]
    speakers: NDArray[np.str_]
    genders: NDArray[np.str_]
    emotions: NDArray[np.int64]


def unmet_encoder(name: str, recipe: VoiceRecipe, report: Report) -> AudioEncoder:
    """The audio encoder that ships; for a corpus of its training, one by the same recipe that
    was trained without it."""
    if name not in TRAINED_ON:
        return AudioEncoder()
    nets = VoiceNets(recipe, report)
    without = {clip.actor for clip in ravdess_emodb.clips() if clip.actor.startswith(name)}
    path = nets.weights(sorted(without), f"voice encoder without {name}")
    with cache.reading(path):
        return AudioEncoder(load_voice_network(path))


def voice_features(name: str, encoder: AudioEncoder, report: Report) -> VoiceFeatures:
    """The features of a corpus, computed or from the user's cache. Raises `InputError` where the
    corpus is missing."""

    def make() -> dict[str, NDArray[np.generic]]:
        detector = VoiceActivity()
        full, cut, detected, clips = [], [], [], []
        for clip, sound in VOICE_CORPORA[name].read():
            utterance = longest_utterance(sound, detector)
            full.append(encoder.encode(sound))
            cut.append(full[-1] if utterance is None else encoder.encode(utterance))
            detected.append(utterance is not None)
            clips.append(clip)
            report(len(clips), VOICE_CORPORA[name].count, f"voices of {name}")
        return {
            "full": np.stack(full),
            "cut": np.stack(cut),
            "detected": np.array(detected),
            "speakers": np.array([clip.speaker for clip in clips]),
            "genders": np.array([clip.gender for clip in clips]),
            "emotions": np.array([clip.emotion for clip in clips]),
        }

    source = fingerprint(corpus_file(VOICE_CORPORA[name].file))
    key = f"{_VERSION}\n{name}\n{encoder.identity}\n{source}"
    return VoiceFeatures(**cached("strangers", key, make))  # type: ignore[arg-type]


def voice_strangers(recipe: VoiceRecipe, report: Report) -> dict[str, dict[str, StrangerScores]]:
    """Scores of each corpus, left out, and of neutral readers: by how the voice was given."""
    sections = {}
    for name in VOICE_CORPORA:
        encoder = unmet_encoder(name, recipe, report)
        features = voice_features(name, encoder, report)
        known = [voice_features(other, encoder, report) for other in TRAINED_ON if other != name]
        population = log_probabilities(np.concatenate([other.cut for other in known])).mean(0)
        prior = _prior(np.concatenate([other.emotions for other in known]))
        sections[f"voice: {name}"] = _scores(features, population, prior)
    sections[_READERS] = {"as cut": _readers(report)}
    for name, rows in _relative(report).items():
        section = sections[_READERS if name == READERS else f"voice: {name}"]
        section |= {f"relative to the speaker, {row}": scores for row, scores in rows.items()}
    return sections


def _relative(report: Report) -> dict[str, dict[str, StrangerScores]]:
    """Scores of the classifier on statistics relative to the speaker, by corpus that was left
    out."""
    recipe = as_written("relative-voice", RelativeVoiceRecipe)
    sets = {name: relative_data.voices(name, report) for name in relative_training.CORPORA}
    return relative_training.scores(
        {name: relative_training.left_out_predictions(recipe, sets, name) for name in sets}
    )


def log_probabilities(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """The seven log-probabilities in audio features [n, dim]."""
    return np.asarray(features[:, -len(EMOTIONS) :], np.float64)


def _scores(
    features: VoiceFeatures, population: NDArray[np.float64], prior: NDArray[np.float64]
) -> dict[str, StrangerScores]:
    detected, labels = features.detected, features.emotions
    cut = log_probabilities(features.cut)
    rates = np.bincount(labels, minlength=len(EMOTIONS)) / len(labels)
    flat = (rates > 0) / (rates > 0).sum()

    def moved(target: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(at_prior(np.exp(cut), prior, target) + 1e-12)

    spoken = Voices(cut, features.speakers, labels)
    shuffled = relative_data.drawn(spoken, np.random.default_rng(_ORDER))
    relative, before = _with_baseline(cut, features.speakers, shuffled, population)
    in_moods = relative_data.in_moods(spoken, np.random.default_rng(_ORDER))
    in_mood, mood_before = _with_baseline(cut, features.speakers, in_moods, population)
    late, mood_late = detected & (before >= AFTER), detected & (mood_before >= AFTER)
    sets = {
        "whole clips": (np.ones(len(labels), bool), log_probabilities(features.full)),
        "as cut": (detected, cut),
        "as cut, at the corpus' prior": (detected, moved(rates)),
        "as cut, at a flat prior": (detected, moved(flat)),
        f"as cut, after {AFTER} utterances": (late, cut),
        f"running baseline, after {AFTER} utterances": (late, relative),
        f"running baseline in long moods, after {AFTER}": (mood_late, in_mood),
        "as cut, women": (detected & (features.genders == "women"), cut),
        "as cut, men": (detected & (features.genders == "men"), cut),
    }
    scores = {
        name: stranger_scores(np.exp(answers[rows]), labels[rows], among_labels=True)
        for name, (rows, answers) in sets.items()
        if rows.any()
    }
    if detected.any():
        scores["as cut, all seven"] = stranger_scores(np.exp(cut[detected]), labels[detected])
    return scores


def _with_baseline(
    answers: NDArray[np.float64],
    speakers: NDArray[np.str_],
    order: NDArray[np.int64],
    population: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Log-probabilities [n, 7] relative to the speaker's running mean, normalised; and how many
    utterances of the speaker came before, [n]."""
    baseline = SpeakerBaseline(population)
    relative, _, before = relative_data.relative_to_speakers(answers, speakers, order, baseline)
    relative -= np.log(np.exp(relative).sum(1, keepdims=True))
    return relative, before


def _prior(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The class frequencies of training labels; an emotion without any counts like one clip."""
    counts = np.maximum(np.bincount(labels, minlength=len(EMOTIONS)), 1)
    return np.asarray(counts / counts.sum(), np.float64)


def _readers(report: Report) -> StrangerScores:
    """The utterances of people who read: all neutral."""
    encoder = AudioEncoder()

    def make() -> dict[str, NDArray[np.generic]]:
        detector, rows = VoiceActivity(), []
        for number, (_, sound) in enumerate(librispeech.load()):
            utterance = longest_utterance(sound, detector)
            if utterance is not None:
                rows.append(encoder.encode(utterance))
            report(number + 1, librispeech.COUNT, "readers")
        return {"cut": np.stack(rows)}

    key = f"{_VERSION}\n{encoder.identity}\n{fingerprint(corpus_file(librispeech.FILE))}"
    features = np.asarray(cached("strangers", key, make)["cut"], np.float32)
    answers = np.exp(log_probabilities(features))
    neutral = np.full(len(answers), EMOTIONS.index("neutral"))
    return stranger_scores(answers, neutral)
