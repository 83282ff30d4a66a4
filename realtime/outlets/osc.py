"""Open Sound Control (OSC): events as UDP messages, for music, light and stage programs.

Wright 2002, "The Open Sound Control 1.0 Specification".
"""

from collections.abc import Iterator
from typing import NamedTuple

from pythonosc.udp_client import SimpleUDPClient

from gscon_live.common.errors import Failure, InputError
from gscon_live.model.labels import EMOTIONS
from gscon_live.realtime.events import schema
from gscon_live.realtime.events.endpoint import is_local
from gscon_live.realtime.events.in_words import without_controls
from gscon_live.realtime.events.schema import AnyEvent, Provisional, UtteranceEvent

#: A message must fit in one datagram.
_LONGEST_TEXT = 1000

Argument = int | float | str


class Message(NamedTuple):
    """An OSC message: its address and its arguments."""

    address: str
    arguments: list[Argument]


class OscOutlet:
    """Sends the messages of `messages_of` to a program.

    Args:
        target: `HOST:PORT` of the program.
        words: send the words, too.
        unencrypted: the target may be another machine, although everybody on the way can read.

    Raises:
        InputError: the target is no such address, or another machine without `unencrypted`.
    """

    def __init__(self, target: str, words: bool = False, unencrypted: bool = False) -> None:
        self._words = words
        self._target = target
        host, port = _address(target)
        if not (unencrypted or is_local(f"tcp://{target}")):
            raise InputError(
                f"{target}: is another machine, and OSC is not encrypted; add --unencrypted if "
                "everybody in this network may read it"
            )
        try:
            self._client = SimpleUDPClient(host, port)
        except OSError as error:
            raise InputError(f"{target}: {error.strerror}; give HOST:PORT") from error

    def write(self, event: AnyEvent) -> None:
        """Sends what an event has for OSC. Raises `Failure` where the network refuses it."""
        for address, arguments in messages_of(event, self._words):
            try:
                self._client.send_message(address, arguments)
            except (BlockingIOError, ConnectionRefusedError):
                pass  # nobody listens, or the network is busy: what UDP sends is lost then
            except OSError as error:
                raise Failure(f"{self._target}: {error.strerror}") from error

    def close(self) -> None:
        """Closes the socket."""
        self._client.close()


def messages_of(event: AnyEvent, words: bool = False) -> Iterator[Message]:
    """The messages of an event. Times in seconds of media time, probabilities 0 to 1.

    Args:
        event: any event.
        words: give the words of an utterance, at most 1,000 characters; without it, they are "".
    """
    if isinstance(event, (UtteranceEvent, Provisional)):
        utterance, emotion = event.utterance, event.emotion
        text = without_controls(utterance.text)[:_LONGEST_TEXT] if words else ""
        speaker = without_controls(utterance.speaker)[:_LONGEST_TEXT]
        yield Message(
            f"/gscon/{event.type}",
            [
                *(speaker, emotion.label, emotion.confidence, int(emotion.abstained)),
                *(utterance.start, utterance.end, text),
            ],
        )
        shares = [emotion.probabilities.get(name, 0.0) for name in EMOTIONS]
        yield Message(f"/gscon/{event.type}/probabilities", [*shares])
    elif isinstance(event, schema.SpeechStarted):
        yield Message("/gscon/speech", [event.start])
    elif isinstance(event, schema.SessionStarted):
        yield Message("/gscon/session", ["started"])
    elif isinstance(event, schema.SessionEnded):
        yield Message("/gscon/session", ["ended"])
    elif isinstance(event, schema.Gap):
        yield Message("/gscon/gap", [event.what, event.time, event.seconds])


def _address(target: str) -> tuple[str, int]:
    host, colon, port = target.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise InputError(f"--to {target}: expected HOST:PORT, such as 127.0.0.1:9000")
    return host.strip("[]"), int(port)
