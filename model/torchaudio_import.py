"""The one place that imports torchaudio.

torchaudio's wheels are compiled against CUDA builds of torch. Beside a CPU build its import raises
OSError, and `transformers`, which imports torchaudio where it is installed, then fails too. What
we use of it is pure PyTorch and needs nothing of the compiled extension, so only where the normal
import fails an empty stand-in takes the extension's place. Import from here, before transformers:

    from gscon_live.model.torchaudio_import import torchaudio
"""

import importlib
import sys
from types import ModuleType
from typing import Any, NoReturn

_EXTENSION = "torchaudio._extension"


def _unavailable(function: Any) -> Any:
    """A stand-in for a function that needs the compiled extension; raises an error when called."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(
            f"torchaudio's {function.__name__} needs its compiled extension, which does not load "
            "beside this build of torch"
        )

    return refuse


def _stand_in() -> ModuleType:
    module = ModuleType(_EXTENSION, "Stand-in for torchaudio's compiled extension.")
    # The three names that torchaudio's pure-PyTorch parts import from it.
    for name, value in {
        "_IS_TORCHAUDIO_EXT_AVAILABLE": False,
        "_IS_RIR_AVAILABLE": False,
        "fail_if_no_align": _unavailable,
    }.items():
        setattr(module, name, value)
    return module


def _import() -> Any:
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules[_EXTENSION] = _stand_in()
        return importlib.import_module("torchaudio")


torchaudio = _import()
