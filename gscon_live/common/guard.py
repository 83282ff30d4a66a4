"""Programs that start a session while they are imported."""

import os
import sys

#: The exit code of a worker that would have started a session of its own.
NO_GUARD = 117
#: What the user is told then.
ADVICE = (
    "the program starts a session while it is imported, and every process of the session imports "
    "it; put that part under  if __name__ == '__main__':"
)


def check() -> None:
    """Ends this process if it is a worker that only imports the program. Call it before a session
    is planned. The session that started the worker tells the user why."""
    # A program that has no workers need not load this.
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is None:
        return
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(NO_GUARD)
