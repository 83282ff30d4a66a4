"""Emotions in conversations, in real time.

    import gscon_live

    for event in gscon_live.recognise("interview.mp4"):
        if event.type == "utterance":
            print(event.utterance.text, event.emotion.label, event.emotion.confidence)

`recognise` reads a recording, `Live` uses microphone and camera, and `Subscriber` receives the
events of a session in another process. `read` gives the tables of an archive. They are imported on
first use, so that a subscriber needs neither torch nor OpenCV.
"""

from typing import TYPE_CHECKING, Any

from gscon_live.common import telemetry

# Here since every process of ours imports this first, and libraries read it when imported.
telemetry.turn_off()

if TYPE_CHECKING:
    from gscon_live.realtime.events.client import Subscriber
    from gscon_live.recognition import Live, recognise
    from gscon_live.tables import read

__version__ = "0.2.0"

__all__ = ["Live", "Subscriber", "__version__", "read", "recognise"]

#: Where the public names are defined.
_HOME = {
    "Live": "gscon_live.recognition",
    "Subscriber": "gscon_live.realtime.events.client",
    "read": "gscon_live.tables",
    "recognise": "gscon_live.recognition",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
