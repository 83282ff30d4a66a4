"""Text encoders: their recipes, and trained encoders in the user's cache.

A file's name contains a hash of everything that it depends on.
"""

import hashlib
import json
from pathlib import Path

import msgspec
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gscon_live.common.errors import InputError
from gscon_live.common.files import replacing
from gscon_live.model.encoders.text.context_encoder import ContextEncoder, fresh, head_of
from gscon_live.model.encoders.text.normalisation import NORMALISATION
from gscon_live.model.encoders.text.sentence_encoder import identity
from gscon_live.train.corpora import corpus_file, sessions
from gscon_live.train.corpora.overlap import SAME_SHOW
from gscon_live.train.corpora.written import WRITTEN, files
from gscon_live.train.data import cache
from gscon_live.train.encoders.text import checks, training
from gscon_live.train.encoders.text.distillation import Teacher, answers, taught
from gscon_live.train.encoders.text.learner import (
    HEADS,
    VOICED,
    VoicedHead,
    encoder_weights,
    head_weights,
    voiced_head_of,
)
from gscon_live.train.encoders.text.recipe import TextRecipe, directory
from gscon_live.train.encoders.text.text_data import corpora
from gscon_live.train.progress import Report, Reporting
from gscon_live.train.recipes import as_written
from gscon_live.train.runs.run_folder import TrainingFolder

#: Version of the cache: changes when the same recipe gives another encoder or features.
_VERSION = 5

#: Keys of recipes that change no file's name while they have their default, so that encoders from
#: before there were these keys are still found.
_LATER = ("left_out_session", "speaker_names", "fine_tuning")


def recipe(name_or_path: str) -> TextRecipe:
    """The recipe of a text encoder. Raises `InputError` for a wrong key or value."""
    settings = as_written(name_or_path, TextRecipe)
    check(settings)
    return settings


def check(settings: TextRecipe) -> None:
    """Raises `InputError` for what is wrong in a recipe or in one that it learns from, or does not
    go together, see `checks.closure`."""
    checks.closure(settings)


def closure(name_or_path: str) -> list[TextRecipe]:
    """A recipe and all that it learns from, as starts and as teachers; errors as in `recipe`."""
    return checks.closure(as_written(name_or_path, TextRecipe))


def lineage(name_or_path: str) -> list[TextRecipe]:
    """A recipe, that which it starts from, and so on; errors as in `recipe`."""
    chain = [recipe(name_or_path)]
    while (start := chain[-1].start) is not None:
        chain.append(recipe(start))
    return chain


def encoder(settings: TextRecipe, seed: int, report: Report) -> ContextEncoder:
    """The text encoder of a recipe and seed, trained or from the cache."""
    return _loaded(settings, seed, report)[0]


def with_head(
    settings: TextRecipe, seed: int, corpus: str, report: Report
) -> tuple[ContextEncoder, nn.Sequential]:
    """The text encoder of a recipe and seed, trained or from the cache, and a corpus' head on its
    vectors alone. Raises `InputError` where the recipe's head for the corpus also reads prosody, or
    there is none."""
    model, heads = _loaded(settings, seed, report)
    parts = head_weights(heads, corpus)
    if not parts:
        raise InputError(
            f"recipe {settings.name!r}: no head that answers for {corpus} from words alone; give "
            f"prosody=false, and {corpus} among the corpora"
        )
    return model, head_of(parts).eval().requires_grad_(False)


def voiced_head(settings: TextRecipe, seed: int, corpus: str, report: Report) -> VoicedHead | None:
    """A corpus' head on vectors and prosody of the encoder of a recipe and seed, trained or from
    the cache; None where the recipe's head for the corpus reads words alone.

    Raises:
        InputError: there is no head for the corpus, or the encoder in the cache is from before such
            heads were kept.
    """
    _, heads = _loaded(settings, seed, report)
    if head_weights(heads, corpus):
        return None
    parts = head_weights(heads, corpus, VOICED)
    if not parts and corpus in settings.corpora:
        raise InputError(
            f"{_weights(settings, seed)}: its head was not kept; remove the file, so that the "
            "encoder is trained again"
        )
    if not parts:
        raise InputError(
            f"recipe {settings.name!r}: no head for {corpus}; give {corpus} among the corpora"
        )
    return voiced_head_of(parts).eval().requires_grad_(False)


def _loaded(
    settings: TextRecipe, seed: int, report: Report
) -> tuple[ContextEncoder, dict[str, Tensor]]:
    """The text encoder, and the weights of its heads."""
    path = trained(settings, seed, report)
    model = fresh(settings.context, directory(settings))
    with cache.reading(path):
        state = load_file(path)
        learned = encoder_weights(state)
        model.load_state_dict(learned)
        heads = {name: value for name, value in state.items() if name not in learned}
    return model.eval().requires_grad_(False), heads


def trained(settings: TextRecipe, seed: int, report: Report) -> Path:
    """The path of the weights of a recipe and seed in the cache; trains them where missing. An
    interrupted training resumes at the last finished epoch. Errors as in `check`."""
    check(settings)
    path = _weights(settings, seed)
    training_folder = TrainingFolder(path.with_suffix(".training"))
    # Of several processes that need the same encoder, the first trains it and the others wait.
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            start = None
            if settings.start is not None:
                path_of_start = trained(recipe(settings.start), 1, report)
                with cache.reading(path_of_start):
                    start = load_file(path_of_start)
            text_corpora = corpora(settings, seed)
            if settings.teacher is not None:
                text_corpora = taught(settings, text_corpora, _answers(settings, report))
            result = training.fit(
                settings, text_corpora, start, seed, training_folder, Reporting(report)
            )
            state = {name: value.contiguous() for name, value in result.model.state_dict().items()}
            for prefix, heads in ((HEADS, result.heads), (VOICED, result.voiced)):
                for corpus, head in heads.items():
                    state |= {
                        f"{prefix}{corpus}.{name}": value.contiguous()
                        for name, value in head.state_dict().items()
                    }
            notes = {
                "epoch": str(result.epoch),
                "validation": json.dumps(result.validation),
                "precision": result.precision,
            }
            with replacing(path) as unfinished:
                save_file(state, unfinished, metadata=notes)
        training_folder.remove()
    return path


def validation(settings: TextRecipe, seed: int) -> list[dict[str, float]]:
    """Weighted F1 on validation, by epoch and corpus, of a trained encoder in the cache."""
    return _epochs(_weights(settings, seed))[0]


def kept_scores(weights: Path) -> dict[str, float]:
    """Weighted F1 on validation, by corpus, at the kept epoch of an encoder that is `trained`."""
    epochs, kept = _epochs(weights)
    return epochs[kept - 1]


def _epochs(weights: Path) -> tuple[list[dict[str, float]], int]:
    """Weighted F1 on validation by epoch and corpus, and the kept epoch, from 1."""
    with cache.reading(weights), safe_open(weights, "pt") as stored:
        notes = stored.metadata()
    return json.loads(notes["validation"]), int(notes["epoch"])


def _answers(settings: TextRecipe, report: Report) -> dict[str, list[Tensor]]:
    """The answers of a recipe's teacher, see `distillation.answers`, computed or from the cache."""
    assert settings.teacher is not None
    teacher = recipe(settings.teacher)
    parts = [key(teacher, 1), *settings.corpora, "apart", *settings.apart]
    end = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    path = folder() / f"answers-{teacher.name}-{end}.safetensors"
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            computed = answers(_teacher(teacher, report), settings, report)
            stored = {
                f"{name}.{place}": rows
                for name, dialogues in computed.items()
                for place, rows in enumerate(dialogues)
            }
            with replacing(path) as unfinished:
                save_file(stored, unfinished)
    with cache.reading(path):
        rows = load_file(path)
    counts = {name: sum(each.startswith(f"{name}.") for each in rows) for name in settings.corpora}
    return {
        name: [rows[f"{name}.{place}"] for place in range(count)] for name, count in counts.items()
    }


def _teacher(settings: TextRecipe, report: Report) -> Teacher:
    """The encoder of a recipe's first seed, and all of its heads."""
    model, weights = _loaded(settings, 1, report)
    names = {name.split(".")[1] for name in weights if name.startswith(HEADS)}
    heads = {name: head_of(head_weights(weights, name)).eval() for name in sorted(names)}
    return Teacher(settings, model, heads)


def is_trained(settings: TextRecipe, seed: int) -> bool:
    """Whether the weights of a recipe and seed are in the cache."""
    return _weights(settings, seed).is_file()


def key(settings: TextRecipe, seed: int) -> str:
    """The cache key of an encoder: its recipe, the recipe that it starts from, seed and data."""
    session = sessions.left_out(settings.left_out_session, seed)
    settings = msgspec.structs.replace(settings, seeds=1, first_seed=1, left_out_session=session)
    shared = msgspec.to_builtins(settings)
    del shared["ship"]
    default = TextRecipe()
    for name in _LATER:
        if getattr(settings, name) == getattr(default, name):
            del shared[name]
    if settings.encoder is not None:
        shared["encoder"] = identity(directory(settings))
    parts = [f"{_VERSION} {seed}", msgspec.json.encode(shared).decode()]
    others = [name for name in (settings.start, settings.teacher) if name is not None]
    parts += [key(recipe(name), 1) for name in others]
    if settings.normalise:
        parts.append(NORMALISATION)
    # Of several corpora, the scenes that another one holds out are left out.
    several = len(settings.corpora) > 1
    same_show = [SAME_SHOW[name] for name in settings.corpora if several and name in SAME_SHOW]
    for name in dict.fromkeys((*settings.corpora, *settings.apart, *same_show)):
        for path in _files(name):
            with path.open("rb") as file:
                parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _files(corpus: str) -> list[Path]:
    if corpus in WRITTEN:
        return files(corpus)
    paths = {"goemotions": "text/goemotions_ekman.csv.gz"}
    return [corpus_file(paths.get(corpus, f"erc/{corpus}.csv"))]


def _weights(settings: TextRecipe, seed: int) -> Path:
    return folder() / f"text-{settings.name}-{seed}-{key(settings, seed)}.safetensors"


def folder() -> Path:
    """The cache folder of text encoders and their features."""
    return cache.folder("text")
