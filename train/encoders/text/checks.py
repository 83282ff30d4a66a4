"""Checks of text recipes before anything is trained: what does not go together, and what a recipe
holds out although something that it learns from was trained on it."""

import json

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.sentence_encoder import default_directory
from gscon_live.train.corpora import sessions
from gscon_live.train.corpora.iemocap_meld_emorynlp import TABLES
from gscon_live.train.corpora.overlap import SAME_SHOW
from gscon_live.train.encoders.text.fine_tuning import check_fresh_layers
from gscon_live.train.encoders.text.recipe import TextRecipe, directory
from gscon_live.train.encoders.text.text_data import CORPORA
from gscon_live.train.recipes import as_written

#: The corpora that have no validation split.
_WITHOUT_VALIDATION = {"goemotions"}


def closure(settings: TextRecipe, students: tuple[TextRecipe, ...] = ()) -> list[TextRecipe]:
    """A recipe and all that it learns from: those that it starts from or is taught by, theirs, and
    so on.

    Args:
        settings: the recipe.
        students: the recipes that learn from it.

    Raises:
        InputError: one of these recipes is missing or wrong, does not go with what it learns from,
            learns from itself, or holds out what it learns from was trained on.
    """
    _check_alone(settings)
    behind: list[TextRecipe] = []
    if settings.teacher is not None:
        teacher = as_written(settings.teacher, TextRecipe)
        if teacher in (*students, settings):
            raise InputError(
                f"recipe {settings.name!r}: it is its own teacher; give another teacher"
            )
        _check_teacher(settings, teacher)
        behind += closure(teacher, (*students, settings))
    if settings.start is not None:
        start = as_written(settings.start, TextRecipe)
        if start in (*students, settings):
            raise InputError(f"recipe {settings.name!r}: it starts from itself; give another start")
        _check_start(settings, start)
        behind += closure(start, (*students, settings))
    for source in behind:
        _check_session(settings, source)
        _check_fold(settings, source)
        _check_scenes(settings, source)
    return [settings, *behind]


def _check_alone(settings: TextRecipe) -> None:
    """Raises `InputError` for what is wrong in a recipe by itself."""
    where = f"recipe {settings.name!r}"
    if not settings.corpora or not {*CORPORA}.issuperset(settings.corpora):
        raise InputError(
            f"{where}: corpora {', '.join(settings.corpora) or 'none'}; expected some of "
            f"{', '.join(sorted(CORPORA))}"
        )
    if not {*TABLES} >= {*settings.apart}:
        raise InputError(
            f"{where}: apart {', '.join(settings.apart)}; expected some of "
            f"{', '.join(sorted(TABLES))}"
        )
    if settings.keep == "best" and _WITHOUT_VALIDATION.issuperset(settings.corpora):
        raise InputError(
            f"{where}: keep best, but {', '.join(settings.corpora)} has no validation; give "
            "keep=last"
        )
    if settings.shared_head and settings.prosody:
        raise InputError(f"{where}: shared_head reads words alone; give prosody: false")
    show = sorted({*SAME_SHOW} & {*settings.corpora})
    if settings.left_out and len(show) > 1:
        raise InputError(
            f"{where}: left_out {settings.left_out}, but {show[0]} and {show[1]} have the same "
            "scenes; give one of them"
        )
    if settings.left_out > settings.parts:
        raise InputError(f"{where}: left_out {settings.left_out}; there are {settings.parts} parts")
    if settings.left_out_session and "iemocap" not in settings.corpora:
        raise InputError(
            f"{where}: left_out_session {settings.left_out_session}, but its corpora are "
            f"{', '.join(settings.corpora)}; only iemocap has sessions"
        )
    if settings.speaker_names and (settings.ship or settings.mishearing is not None):
        raise InputError(
            f"{where}: speaker_names, but a session knows no names, and simulated recognition "
            "would disturb them; leave out ship and mishearing"
        )
    # The teacher's answers are kept for the corpus' own splits and words.
    if settings.teacher is not None and (settings.left_out_session or settings.speaker_names):
        raise InputError(
            f"{where}: with left_out_session or speaker_names there is no teacher; give teacher: "
            "null"
        )
    layers = _layers(settings) if settings.fine_tuning.fresh_layers else None
    if layers is not None:
        trained = max(0, layers - max(0, settings.frozen))
        check_fresh_layers(settings.name, settings.fine_tuning.fresh_layers, trained)


def _layers(settings: TextRecipe) -> int | None:
    """The number of layers of a recipe's encoder; None where its configuration does not tell, or
    the encoder is not on this machine."""
    try:
        path = (directory(settings) or default_directory()) / "config.json"
        return int(json.loads(path.read_text(encoding="utf-8"))["num_hidden_layers"])
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return None


def _check_teacher(settings: TextRecipe, teacher: TextRecipe) -> None:
    """Raises `InputError` for a teacher of other splits or words, see `distillation.answers`."""
    for key in ("left_out_session", "speaker_names"):
        if getattr(teacher, key):
            raise InputError(
                f"recipe {settings.name!r}: its teacher {teacher.name!r} has {key}, but answers "
                "for the corpora's own splits and words; give a teacher without it"
            )


def _check_start(settings: TextRecipe, start: TextRecipe) -> None:
    """Raises `InputError` where the weights of a recipe and its start have other shapes. Of the
    context, only the reach counts."""
    for key, of_start, own in (
        ("encoder", start.encoder, settings.encoder),
        ("context.reach", start.context.reach, settings.context.reach),
    ):
        if of_start != own:
            raise InputError(
                f"recipe {start.name!r}: {key} {of_start}, but {settings.name!r} starts from it "
                f"with {key} {own}; give both the same"
            )


def _check_session(settings: TextRecipe, source: TextRecipe) -> None:
    """Raises `InputError` where a recipe's validation on IEMOCAP is in the training of what it
    learns from."""
    if "iemocap" not in settings.corpora or "iemocap" not in source.corpora:
        return
    # What others learn from always has seed 1; the recipe itself has any.
    session = sessions.left_out(source.left_out_session, 1)
    if settings.left_out_session != session:
        known = f"without session {session}" if session else "with all sessions"
        raise InputError(
            f"recipe {settings.name!r}: left_out_session {settings.left_out_session}, but it "
            f"learns from {source.name!r}, which was trained on iemocap {known}; give both the "
            "same session, or give another start or teacher"
        )


def _check_fold(settings: TextRecipe, source: TextRecipe) -> None:
    """Raises `InputError` where what a recipe learns from was trained on the fold that the recipe
    leaves out."""
    for table in settings.corpora if settings.left_out else ():
        met = table in TABLES and table in source.corpora
        if met and _fold(settings, table) != _fold(source, table):
            raise InputError(
                f"recipe {settings.name!r}: left_out {settings.left_out}, but it learns from "
                f"{source.name!r}, which was trained on this fold of {table}; give both the same "
                "left_out, parts, apart and corpora, or give another start or teacher"
            )


def _fold(settings: TextRecipe, table: str) -> tuple[object, ...]:
    """All that says which dialogues of a table are left out, see `text_data.corpora`: what other
    corpora hold out is taken away before the rest is cut into folds."""
    others = table in SAME_SHOW and len(settings.corpora) > 1
    return settings.left_out, settings.parts, {*settings.apart}, others


def met_scenes(source: TextRecipe, corpus: str) -> bool:
    """Whether a recipe trains on scenes of a corpus' validation and test in another corpus. One of
    several corpora has none of them, see `text_data.corpora`."""
    return len(source.corpora) == 1 and _met_show(source, corpus)


def _met_show(source: TextRecipe, corpus: str) -> bool:
    """Whether a recipe trains on scenes of a corpus, of any split, in another corpus."""
    return SAME_SHOW.get(corpus) in source.corpora and corpus not in source.apart


def _check_scenes(settings: TextRecipe, source: TextRecipe) -> None:
    """Raises `InputError` where what a recipe learns from was trained on scenes that the recipe
    holds out, in another corpus."""
    for corpus in settings.corpora:
        # In several corpora there are those of all folds.
        if met_scenes(source, corpus) or (settings.left_out and _met_show(source, corpus)):
            same_show = SAME_SHOW[corpus]
            raise InputError(
                f"recipe {settings.name!r}: it learns from {source.name!r}, which was trained on "
                f"{same_show} with scenes of {corpus} that are held out; give {source.name!r} "
                f"apart: [{corpus}], or give another start or teacher"
            )
