"""The voice encoder as a trainable: its training, cross-validation and card."""

from pathlib import Path

from gscon_live.train.encoders.voice.cross_validation import VoiceResult, cross_validate
from gscon_live.train.encoders.voice.recipe import VoiceRecipe
from gscon_live.train.progress import Display
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable


class VoiceTrainable(Trainable[VoiceRecipe]):
    """The voice encoder, and its cross-validation."""

    recipe = VoiceRecipe
    ships_as = "voice"

    def fit(self, recipe: VoiceRecipe, folder: Path, display: Display) -> Path:
        result = cross_validate(recipe, display.report)
        return save_encoder(
            result.net, _card(recipe, result), folder / f"{recipe.name}.safetensors"
        )


def _card(recipe: VoiceRecipe, result: VoiceResult) -> dict[str, object]:
    return {
        "name": "voice-cnn",
        "data": "RAVDESS (calm counted as neutral) and EMO-DB (boredom left out), 22 actors to "
        "train, 6 and 6 others for validation and test. How voices are disturbed in training, and "
        "for how long, was chosen on the validation actors, four of whom are a fold of RAVDESS'.",
        "folds_data": "RAVDESS' eight emotions; each fold is four actors, heard by a network that "
        "was trained on the other twenty and on EMO-DB.",
        "note": "Acted in studios, in two sentences or ten: what is played, not what is felt.",
        "recipe": recipe,
        "validation": result.validation,
        "test": result.test,
        "folds": result.folds,
        "by_gender": result.by_gender,
        "mean_recall_by_fold": result.by_fold,
    }
