"""One thread for each worker: more of them only get in each other's way."""

import contextlib
import os

#: Libraries read these when they are imported.
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def limit_children() -> None:
    """Limits the processes that this one starts, unless the user has set another number."""
    for name in _VARIABLES:
        os.environ.setdefault(name, "1")


def limit_this_process() -> None:
    """Limits a worker, which may have been forked from a process with everything imported."""
    for name in _VARIABLES:
        os.environ[name] = "1"
    with contextlib.suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
