"""A text encoder is taught by another: a share of its labels are the teacher's answers."""

from pathlib import Path

import msgspec
import pytest
import torch
from progress import quiet
from test_encoder_of_recipe import write_encoder

from gscon_live.common.errors import InputError
from gscon_live.model.encoders.text.context_encoder import digest
from gscon_live.train.data.asr_noise import AsrNoise
from gscon_live.train.encoders.text import text_cache, text_data, training
from gscon_live.train.encoders.text.distillation import Teacher, answers, taught
from gscon_live.train.encoders.text.recipe import TextRecipe

STUDENT = TextRecipe(
    name="student", corpora=("meld",), epochs=1, prosody=False, distillation=0.25,
    mishearing=AsrNoise(errors=1.0, least=0.5, most=0.5),
)  # fmt: skip


@pytest.fixture
def teacher(show: Path) -> TextRecipe:
    """The recipe of a teacher with another encoder, as a file beside the corpora."""
    write_encoder(show / "tiny-mpnet", "mpnet")
    path = show / "teacher.yaml"
    path.write_text(
        "kind: text\nname: teacher\ncorpora: [meld]\nepochs: 1\nprosody: false\n"
        f"shared_head: true\nencoder: {show / 'tiny-mpnet'}\n"
    )
    return text_cache.recipe(str(path))


def test_a_share_of_each_label_is_the_teachers_answer_to_the_words_as_written(
    teacher: TextRecipe,
) -> None:
    model, head = text_cache.with_head(teacher, 1, "meld", quiet)
    own = text_data.corpora(STUDENT, 1)
    told = answers(Teacher(teacher, model, {"meld": head}), STUDENT, quiet)
    soft = taught(STUDENT, own, told)["meld"]
    written = text_data.corpora(teacher, 1)["meld"].train
    (misheard,) = soft.recognised
    for plain, read, mixed, heard in zip(
        own["meld"].train, written, soft.train, misheard, strict=True
    ):
        answer = head(training.vectors(model, read.ids, read.speakers)).softmax(1)
        labelled = plain.targets.sum(1, keepdim=True) > 0
        expected = (0.75 * plain.targets + 0.25 * answer) * labelled
        torch.testing.assert_close(mixed.targets, expected)
        assert torch.equal(heard.targets, mixed.targets)
    assert [row.ids for row in misheard] != [row.ids for row in soft.train]
    for plain, kept in zip(own["meld"].validation, soft.validation, strict=True):
        assert torch.equal(plain.targets, kept.targets)


def test_a_fold_has_the_answers_of_its_own_dialogues_which_are_computed_once(
    show: Path, teacher: TextRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, head = text_cache.with_head(teacher, 1, "meld", quiet)
    fold = msgspec.structs.replace(STUDENT, parts=2, left_out=1, mishearing=None)
    everything = answers(Teacher(teacher, model, {"meld": head}), fold, quiet)["meld"]
    whole, part = (text_data.corpora(each)["meld"].train for each in (STUDENT, fold))
    assert len(everything) == len(whole) > len(part) > 0
    soft = taught(
        msgspec.structs.replace(fold, distillation=1.0),
        {"meld": text_data.corpora(fold)["meld"]},
        {"meld": everything},
    )["meld"]
    for mixed, expected in zip(soft.train, everything[-len(part) :], strict=True):
        labelled = mixed.targets.sum(1, keepdim=True) > 0
        torch.testing.assert_close(mixed.targets, expected * labelled)
    # A student's teacher leaves out the same fold.
    path = show / "teacher-of-fold.yaml"
    path.write_text((show / "teacher.yaml").read_text() + "parts: 2\nleft_out: 1\n")
    students = [
        msgspec.structs.replace(fold, teacher=str(path), distillation=share)
        for share in (0.25, 0.75)
    ]
    text_cache.encoder(students[0], 1, quiet)

    def never(*_: object) -> None:
        raise AssertionError("answered again")

    monkeypatch.setattr(text_cache, "answers", never)
    text_cache.encoder(students[1], 1, quiet)


def test_the_teacher_answers_in_the_precision_of_its_recipe(teacher: TextRecipe) -> None:
    model, head = text_cache.with_head(teacher, 1, "meld", quiet)
    answered = {}
    for precision in ("32-true", "bf16-mixed"):
        of_precision = msgspec.structs.replace(teacher, precision=precision)
        answered[precision] = answers(Teacher(of_precision, model, {"meld": head}), STUDENT, quiet)
    read = text_data.corpora(teacher, 1)["meld"].train
    for dialogue, exact, mixed in zip(
        read, answered["32-true"]["meld"], answered["bf16-mixed"]["meld"], strict=True
    ):
        with torch.autocast("cpu", torch.bfloat16):
            vectors = training.vectors(model, dialogue.ids, dialogue.speakers)
        torch.testing.assert_close(mixed, head(vectors).softmax(1), atol=1e-6, rtol=0.0)
        assert (mixed.dtype, mixed.device.type) == (torch.float32, "cpu")
        assert not torch.equal(mixed, exact)
        torch.testing.assert_close(mixed, exact, atol=0.1, rtol=0.0)


def test_the_teacher_and_its_share_change_what_is_learned(show: Path, teacher: TextRecipe) -> None:
    alone = msgspec.structs.replace(STUDENT, mishearing=None)
    with_teacher = msgspec.structs.replace(alone, teacher=str(show / "teacher.yaml"))
    recipes = [alone, with_teacher, msgspec.structs.replace(with_teacher, distillation=0.75)]
    assert len({text_cache.key(recipe, 1) for recipe in recipes}) == 3
    digests = {digest(text_cache.encoder(recipe, 1, quiet)) for recipe in recipes}
    assert len(digests) == 3


def test_another_teacher_behind_the_same_name_is_another_key(
    show: Path, teacher: TextRecipe
) -> None:
    student = msgspec.structs.replace(STUDENT, teacher=str(show / "teacher.yaml"))
    key = text_cache.key(student, 1)
    path = show / "teacher.yaml"
    path.write_text(path.read_text().replace("epochs: 1", "epochs: 2"))
    assert text_cache.key(student, 1) != key


def test_a_teacher_without_an_answer_for_a_corpus_is_refused(
    show: Path, teacher: TextRecipe
) -> None:
    student = msgspec.structs.replace(
        STUDENT, corpora=("meld", "written_lines"), teacher=str(show / "teacher.yaml")
    )
    with pytest.raises(InputError, match="'teacher': no head that answers for written_lines"):
        text_cache.encoder(student, 1, quiet)


def test_recipes_that_teach_each_other_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(f"kind: text\nname: first\nteacher: {second}\n")
    second.write_text(f"kind: text\nname: second\nteacher: {first}\n")
    with pytest.raises(InputError, match="its own teacher"):
        text_cache.recipe(str(first))


def test_a_teacher_that_is_no_recipe_is_refused(tmp_path: Path) -> None:
    student = tmp_path / "student.yaml"
    student.write_text(f"kind: text\nname: student\nteacher: {tmp_path / 'none.yaml'}\n")
    with pytest.raises(InputError, match=r"none\.yaml"):
        text_cache.recipe(str(student))
