"""Text encoders as a trainable, and the files that ship."""

from pathlib import Path

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import ContextSettings
from gscon_live.model.encoders.text.text_encoder import TrainedParts
from gscon_live.train.encoders.text import text_cache
from gscon_live.train.encoders.text.recipe import TextRecipe
from gscon_live.train.progress import Display, Report
from gscon_live.train.recipes import seeds
from gscon_live.train.save_weights import save_encoder
from gscon_live.train.trainables import Trainable


class TextTrainable(Trainable[TextRecipe]):
    """Text encoders of several seeds, in the user's cache."""

    recipe = TextRecipe
    ships_as = "text"

    def resolved(self, recipe: TextRecipe) -> TextRecipe:
        text_cache.check(recipe)
        return recipe

    def fit(self, recipe: TextRecipe, folder: Path, display: Display) -> Path:
        """Trains all seeds. Returns the last seed's weights in the cache; with `ship`, the first
        seed's weights as they ship, in the run's folder."""
        trained = []
        for seed in seeds(recipe):
            trained.append(text_cache.trained(recipe, seed, display.report))
            scores = text_cache.kept_scores(trained[-1])
            reached = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            line = f"text encoder {recipe.name}, seed {seed}: weighted F1 on validation"
            display.report(1, 1, f"{line}: {reached or 'not measured'}")
        if recipe.ship:
            return _save(recipe, recipe.first_seed, display.report, folder)
        return trained[-1]


def _save(recipe: TextRecipe, seed: int, report: Report, folder: Path) -> Path:
    """Writes the trained parts of an encoder in half precision, and its card; returns the path of
    the weights.

    Raises:
        InputError: the encoder cannot ship: it has no head for MELD on words alone, other
            embeddings than the sentence encoder's, or another context.
    """
    first = recipe
    while first.start is not None and first.frozen >= 0:
        first = text_cache.recipe(first.start)
    if first.frozen < 0 or recipe.context != ContextSettings() or recipe.encoder is not None:
        raise InputError(
            f"recipe {recipe.name!r}: a shipped encoder has the sentence encoder's embeddings and "
            "the default context; leave out `frozen: -1`, `context` and `encoder`"
        )
    model, head = text_cache.with_head(recipe, seed, "meld", report)
    card = {
        "name": "text-context",
        "data": f"Training splits of {', '.join(recipe.corpora)}"
        f"{f', after the recipe {recipe.start}' if recipe.start else ''}.",
        "note": "Laid over all-MiniLM-L6-v2, whose embeddings it keeps; half precision. Words and "
        "turns were the corpora's own, some with a recogniser's errors, which were simulated. The "
        "head answers at the prior of MELD."
        + (" It reads words without punctuation and case." if recipe.normalise else ""),
        "recipe": recipe,
        "seed": seed,
        "validation": text_cache.validation(recipe, seed),
    }
    parts = TrainedParts(model, head, recipe.normalise).half()
    return save_encoder(parts, card, folder / f"{recipe.name}.safetensors", parts.metadata)
