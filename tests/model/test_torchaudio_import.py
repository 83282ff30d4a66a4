"""torchaudio, and with it transformers, can be imported beside any build of torch."""

import os
import subprocess
import sys
from pathlib import Path


def run(code: str, *first: Path) -> str:
    path = os.pathsep.join(map(str, first))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def fake_torchaudio(folder: Path, extension: str) -> Path:
    package = folder / "torchaudio"
    package.mkdir(parents=True)
    (package / "_extension.py").write_text(extension)
    (package / "__init__.py").write_text(
        "from . import _extension\nfrom torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE\n"
    )
    return folder


def test_the_installed_torchaudio_and_transformers_work_after_it() -> None:
    """Whether or not the installed wheel fits the installed torch."""
    said = run(
        "import sys\n"
        "from gscon_live.model.torchaudio_import import torchaudio\n"
        "import torch, transformers\n"
        "from transformers import BertModel\n"
        "mel = torchaudio.transforms.MelSpectrogram(16000)(torch.ones(16000))\n"
        "torchaudio.functional.resample(torch.ones(100), 16000, 8000)\n"
        "assert sys.modules['torchaudio'] is torchaudio\n"
        "print(mel.shape[0])"
    )
    assert said == "128"


def test_the_stand_in_is_there_only_where_the_plain_import_fails() -> None:
    plain = run(
        "try:\n    import torchaudio\n    print('works')\nexcept OSError:\n    print('fails')"
    )
    ours = run(
        "import sys\nfrom gscon_live.model.torchaudio_import import torchaudio\n"
        "extension = sys.modules['torchaudio._extension']\n"
        "print('works' if getattr(extension, '__file__', None) else 'fails')"
    )
    assert ours == plain


def test_a_working_extension_is_left_alone(tmp_path: Path) -> None:
    fake = fake_torchaudio(tmp_path, "_IS_TORCHAUDIO_EXT_AVAILABLE = 'the real one'\n")
    said = run(
        "from gscon_live.model.torchaudio_import import torchaudio\n"
        "print(torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE)",
        fake,
    )
    assert said == "the real one"


def test_an_extension_that_does_not_load_is_replaced(tmp_path: Path) -> None:
    fake = fake_torchaudio(tmp_path, "raise OSError('libc10_cuda.so: no such file')\n")
    said = run(
        "from gscon_live.model.torchaudio_import import torchaudio\n"
        "print(torchaudio._IS_TORCHAUDIO_EXT_AVAILABLE)",
        fake,
    )
    assert said == "False"


def test_other_failures_are_not_hidden(tmp_path: Path) -> None:
    fake = fake_torchaudio(tmp_path, "raise ValueError('something else')\n")
    said = run(
        "try:\n    import gscon_live.model.torchaudio_import\n"
        "except ValueError as error:\n    print(error)",
        fake,
    )
    assert said == "something else"
