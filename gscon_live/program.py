"""The entry point of the console script. Importing it changes what signals do to the process."""

from gscon_live.common import signals

# Before the other imports: whoever stops a command early is not shown a traceback.
signals.exit_at_once()

from gscon_live.commands import console

__all__ = ["console"]
