"""Limits the libraries to one thread per worker, as all workers run at the same time."""

import contextlib
import os

#: Variables that libraries read on import.
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def limit_children() -> None:
    """Limits the child processes, unless the user has set another number."""
    for name in _VARIABLES:
        os.environ.setdefault(name, "1")


def limit_this_process() -> None:
    """Limits a worker, whose libraries may be imported already."""
    for name in _VARIABLES:
        os.environ[name] = "1"
    with contextlib.suppress(ImportError):
        import cv2

        cv2.setNumThreads(1)
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
