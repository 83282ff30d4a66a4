"""From trainings to files: weights and cards in a run's folder, and those that ship."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
from torch import nn

from gscon_live.common.errors import InputError
from gscon_live.common.files import write_whole
from gscon_live.model import checkpoint
from gscon_live.model.checkpoint import Card
from gscon_live.model.encoders.text.context_encoder import ContextSettings
from gscon_live.model.encoders.text.text_encoder import Learned
from gscon_live.model.labels import EMOTIONS
from gscon_live.train.data.feature_banks import Report
from gscon_live.train.encoders.face import FaceRecipe
from gscon_live.train.encoders.face import Fitted as FittedFace
from gscon_live.train.encoders.speaker import Fitted as FittedSpeaker
from gscon_live.train.encoders.speaker import SpeakerRecipe
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.training import TextRecipe
from gscon_live.train.encoders.voice.cross_validation import Fitted as FittedVoice
from gscon_live.train.encoders.voice.training import VoiceRecipe
from gscon_live.train.networks.composed_task import FusionRecipe, Material, architecture
from gscon_live.train.networks.composed_task import FusionResult as Fitted
from gscon_live.train.runs.provenance import provenance
from gscon_live.train.scoring.encoder_scores import encoder_scores

_DATA = (
    "Composed conversations: the dialogues, words, speakers and emotions of MELD; the voices of "
    "RAVDESS (calm counted as neutral) and EMO-DB (boredom left out); the faces of FER2013. Each "
    "speaker of a dialogue is given one actor; each utterance one of the actor's clips and one "
    "face. The voice shows the utterance's emotion with probability {audio.same:g} and is neutral "
    "with {audio.neutral:g}, the face with {visual.same:g} and {visual.neutral:g}; otherwise they "
    "show any of the seven. Of the speakers, {audio.habit:.0%} keep one expression of the voice "
    "whatever they say, and {visual.habit:.0%} one of the face. The encoders learned from the same "
    "corpora's training parts, that of the words from GoEmotions and EmoryNLP too."
)
_SPLIT = (
    "Disjoint in dialogues, actors and images. Dialogues: MELD's train, dev and test. Actors: 22, "
    "6 and 6. Faces: two thirds of PublicTest, its other third, PrivateTest; the face encoder was "
    "trained on FER2013's Training faces alone and selected on PublicTest. What the fusion learns "
    "from of a training actor or dialogue was said by encoders that were trained without them: in "
    "four parts of the actors and three of the dialogues. Epoch, seed and class weights (by macro "
    "F1) are chosen, and the calibration is fitted, on validation, where each emotion counts as if "
    "it were as frequent as in MELD's train, which is nine times as large."
)
_NOTES = [
    "Composed conversations are not real ones. Where voice or face take part, scores on them say "
    "how well the parts work together when each shows the emotion as often as stated above; they "
    "are no estimate of how well emotions are read from people.",
    "Only the set `text` is measured on real material: the words, turns and speakers of MELD's "
    "test dialogues. Words and turns are the corpus' own, not recognised from speech; live words "
    "are worse.",
    "How often voice and face agree with the words is assumed, not measured; so are the habits. "
    "They were set to where voice alone and face alone come near what published systems reach on "
    "MELD's own recordings (weighted F1 0.31 to 0.43), and they largely decide the scores on "
    "composed sets.",
    "Earlier trainings with other assumptions were scored on test as well, and their recalls by "
    "class were seen before the class weights were last chosen, on validation.",
    "The voices are acted, in studios, in two sentences (RAVDESS) or ten (EMO-DB, German); the "
    "faces are posed or picked, 48 pixels wide. Spontaneous ones are weaker.",
    "12.7 % of MELD's test utterances occur word for word in its training set.",
    "Answering always `neutral` would give weighted F1 0.313 and accuracy 0.481 on MELD's test.",
    "A set is named after the modalities that are there; the others are missing throughout. "
    "`nothing` is the context of speaker turns alone. Where a share of words is said to be wrong, "
    "they have neither punctuation nor case, and the errors are simulated. `voice and face as "
    "labelled`: they always show the emotion that the utterance is labelled with, as in acting.",
    "Research use only: the terms of the corpora say so.",
]


def face(fitted: FittedFace, recipe: FaceRecipe, folder: Path) -> Path:
    """Writes the face encoder's weights and card into a run's folder; gives the weights' path."""
    card = {
        "name": "face-cnn",
        "data": "FER2013: Training to train, PublicTest to select the epoch, PrivateTest once.",
        "note": "Faces found on the web, labelled by others: what is shown, not what is felt.",
        "recipe": recipe,
        "best_epoch": fitted.best_epoch,
        "validation": fitted.validation,
        "test": fitted.test,
    }
    return _encoder(fitted.net, card, folder / f"{recipe.name}.safetensors")


def voice(fitted: FittedVoice, recipe: VoiceRecipe, folder: Path) -> Path:
    """Writes the voice encoder's weights and card into a run's folder; gives the weights' path."""
    card = {
        "name": "voice-cnn",
        "data": "RAVDESS (calm counted as neutral) and EMO-DB (boredom left out), 22 actors to "
        "train, 6 and 6 others for validation and test. How voices are disturbed in training, and "
        "for how long, was chosen on the validation actors, four of whom are a fold of RAVDESS'.",
        "folds_data": "RAVDESS' eight emotions; each fold is four actors, heard by a network that "
        "was trained on the other twenty and on EMO-DB.",
        "note": "Acted in studios, in two sentences or ten: what is played, not what is felt.",
        "recipe": recipe,
        "validation": fitted.validation,
        "test": fitted.test,
        "folds": fitted.folds,
        "by_gender": fitted.by_gender,
        "mean_recall_by_fold": fitted.by_fold,
    }
    return _encoder(fitted.net, card, folder / f"{recipe.name}.safetensors")


def text(made: TextRecipe, seed: int, report: Report, folder: Path) -> Path:
    """Writes what a text encoder has learned, in half precision, and its card into a run's folder;
    gives the weights' path. It is trained first where it is not in the cache.

    Raises:
        InputError: the recipe is not one of a text encoder that can ship: it has no head that
            answers for MELD from words alone, its embeddings are not the sentence encoder's, or it
            looks at the conversation in another way.
    """
    whole = made
    while whole.start is not None and whole.frozen >= 0:
        whole = text_cache.recipe(whole.start)
    if whole.frozen < 0 or made.context != ContextSettings():
        raise InputError(
            f"recipe {made.name!r}: what ships has the sentence encoder's embeddings and its own "
            "context; leave out `frozen: -1` and `context`"
        )
    model, head = text_cache.with_head(made, seed, "meld", report)
    learned = Learned(model, head).half()
    card = {
        "name": "text-context",
        "data": f"Training splits of {', '.join(made.corpora)}"
        f"{f', after the recipe {made.start}' if made.start else ''}.",
        "note": "Laid over all-MiniLM-L6-v2, whose embeddings it keeps; half precision. Words and "
        "turns were the corpora's own, some with a recogniser's errors, which were simulated.",
        "recipe": made,
        "seed": seed,
        "validation": text_cache.validation(made, seed),
    }
    return _encoder(learned, card, folder / f"{made.name}.safetensors")


def speaker(fitted: FittedSpeaker, recipe: SpeakerRecipe, folder: Path) -> Path:
    """Writes the space of speakers and its card into a run's folder; gives the weights' path."""
    card = {
        "name": "speaker-lda",
        "data": "RAVDESS and EMO-DB, 34 actors.",
        "confusion_data": "Share of the time given to the wrong one of one, two or three speakers "
        "who take turns at random, where the bounds of utterances are given, and how many were "
        "heard. acted: actors in four parts, by spaces made of the others. read: LibriSpeech, "
        "which chose nothing.",
        "note": "The directions' number and the readiness to hear somebody new were chosen on the "
        "actors, by the mean over one, two and three of them.",
        "recipe": recipe,
        "confusion": fitted.confusion,
    }
    return _encoder(fitted.space, card, folder / f"{recipe.name}.safetensors")


def _encoder(net: nn.Module, card: dict[str, Any], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    card |= provenance()
    write_whole(path, safetensors.torch.save(state))
    write_whole(path.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(card)) + b"\n")
    return path


def fusion(trained: Sequence[Fitted], recipe: FusionRecipe, given: Material, folder: Path) -> Path:
    """Writes all trainings into a run's folder, the best on validation as the run's checkpoint; and
    how their weighted F1 on validation went, by seed, in `history.json`."""
    best = max(trained, key=lambda one: one.selection)
    for one in trained if len(trained) > 1 else ():
        _save(folder / f"seed-{one.seed}" / recipe.name, one, [one], recipe, given)
    history = {str(one.seed): one.history for one in trained}
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "history.json", msgspec.json.encode(history) + b"\n")
    return _save(folder / recipe.name, best, trained, recipe, given)


def ship(weights: Path, name: str | None = None) -> list[Path]:
    """Installs a run's weights and card among those that ship, under their own name or another;
    gives the paths written."""
    written = []
    for suffix in (".safetensors", ".json", ".md"):
        source = weights.with_suffix(suffix)
        if source.is_file():
            target = checkpoint.WEIGHTS / f"{name or weights.stem}{suffix}"
            write_whole(target, source.read_bytes())
            written.append(target)
    return written


def over_seeds(trained: Sequence[Fitted]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation over the trainings of every figure on test, by subset."""
    figures = ("weighted_f1", "accuracy", "macro_f1", "balanced_accuracy", "ece")
    table: dict[str, dict[str, dict[str, float]]] = {}
    for subset in trained[0].scores["test"]:
        table[subset] = {}
        for figure in figures:
            values = [getattr(one.scores["test"][subset], figure) for one in trained]
            table[subset][figure] = {
                "mean": statistics.fmean(values),
                "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
            }
    return table


def _save(
    stem: Path, best: Fitted, trained: Sequence[Fitted], recipe: FusionRecipe, given: Material
) -> Path:
    scores: dict[str, Any] = dict(msgspec.to_builtins(best.scores["test"]))
    scores["validation"] = msgspec.to_builtins(best.scores["validation"])
    scores["seeds"] = over_seeds(trained)
    scores["encoders"] = encoder_scores()
    card = Card(
        name=recipe.name,
        version=datetime.now(UTC).strftime("%Y.%m.%d"),
        emotions=list(EMOTIONS),
        encoders=given.encoders,
        architecture=architecture(recipe, given.dims),
        temperature=best.calibration.overall,
        by_presence=best.calibration.by_presence,
        shifts=best.calibration.shifts,
        prior=best.calibration.prior,
        temperatures=best.calibration.own,
        data=_DATA.format(audio=recipe.audio, visual=recipe.visual),
        split=_SPLIT,
        seeds=[one.seed for one in trained],
        scores=scores,
        notes=[
            *_NOTES,
            f"Epoch {best.best_epoch} of {recipe.epochs} of seed {best.seed} was the best on "
            "validation.",
        ],
        recipe=msgspec.to_builtins(recipe),
        **provenance(),
    )
    checkpoint.save(stem, best.model, card)
    return stem.with_name(stem.name + ".safetensors")
