"""One visit: the messages of a browser or program that gives its sound and pictures.

Nothing in here waits: what cannot go on at once is lost, and counted once.
"""

import time as system_time
from collections import deque
from collections.abc import Callable
from typing import Annotated

import msgspec

from gscon_live.realtime.gateway import jpeg_header
from gscon_live.realtime.gateway.losses import Losses
from gscon_live.realtime.pipeline import visitor
from gscon_live.realtime.pipeline.visitor import HEAD_BYTES, Outlet, Picture, Sound

#: Largest message in bytes: a JPEG with its head. Longest text, and longest sound in seconds.
MOST_MESSAGE, _MOST_TEXT, _MOST_SOUND = HEAD_BYTES + (512 << 10), 1024, 1.0
#: Messages per second and at once; pictures per second and at once.
_MESSAGES, _PICTURES = (250.0, 1000.0), (30.0, 30.0)
#: Number of readings of the visitor's clock of which the fastest counts.
_READINGS = 12

Rate = Annotated[int, msgspec.Meta(ge=8_000, le=96_000)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
Lost = Annotated[float, msgspec.Meta(ge=0, le=3600)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class Start(msgspec.Struct, frozen=True, tag_field="type", tag="start"):
    """The first message: the visitor's clock now, in seconds, and its samples per second."""

    now: Seconds
    rate: Rate = 16_000


class Clock(msgspec.Struct, frozen=True, tag_field="type", tag="clock"):
    """The visitor's clock now. Sent every few seconds, as clocks drift."""

    now: Seconds


class LostThere(msgspec.Struct, frozen=True, tag_field="type", tag="lost"):
    """What the visitor itself could not send: seconds of sound, number of pictures."""

    sound: Lost = 0.0
    pictures: Count = 0


_decoder: msgspec.json.Decoder[Start | Clock | LostThere] = msgspec.json.Decoder(
    Start | Clock | LostThere
)


class Refused(Exception):
    """The visitor broke the rules; `reason` is as in `Refusals`."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


class Allowance:
    """How much may come: it fills evenly with `rate` per second, up to `burst`."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._then = burst, clock()

    def take(self) -> bool:
        """Whether one more may come."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Visit:
    """Takes the messages of one connection and hands their contents on.

    Args:
        number: of the visit.
        sound, pictures: where they go; None: they are not wanted.
        losses: of sound and of pictures; they outlive the visit.
        refuse: counts a picture that is no picture.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        number: int,
        sound: Outlet | None,
        pictures: Outlet | None,
        losses: tuple[Losses, Losses],
        refuse: Callable[[str], None],
        clock: Callable[[], float] = system_time.monotonic,
    ) -> None:
        self.number = number
        self._sound, self._pictures = sound, pictures
        self._losses = losses
        self._refuse = refuse
        self._clock = clock
        self._rate = 0
        self._offsets: deque[float] = deque(maxlen=_READINGS)
        self._messages = Allowance(*_MESSAGES, clock)
        self._allowed_pictures = Allowance(*_PICTURES, clock)

    def take(self, message: str | bytes) -> bool:
        """Takes a message. Returns whether it was the first one, which has to be answered.

        Raises:
            Refused: it is none of the messages above, too long, or there are too many.
        """
        if not self._messages.take():
            raise Refused("rate", "too many messages")
        if isinstance(message, str):
            return self._text(message)
        if not self._rate:
            raise Refused("message", "the first message has to be the start")
        try:
            kind, theirs, content = visitor.read_message(message)
        except ValueError as error:
            raise Refused("message", str(error)) from error
        if kind == "sound":
            self._take_sound(theirs, content)
        else:
            self._take_picture(theirs, content)
        return False

    def end(self) -> None:
        """The connection has ended."""
        for outlet, losses in zip((self._sound, self._pictures), self._losses, strict=True):
            if outlet is not None:
                losses.pass_on(outlet, at_once=True)
                outlet.send(visitor.Left(self.number))

    def _text(self, text: str) -> bool:
        if len(text) > _MOST_TEXT:
            raise Refused("size", "the text is too long")
        try:
            spoken = _decoder.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused("message", "neither start, clock nor lost") from error
        match spoken:
            case Start(now=now, rate=rate):
                if self._rate:
                    raise Refused("message", "it has started before")
                self._rate = rate
                self._offsets.append(self._clock() - now)
                return True
            case Clock(now=now) if self._rate:
                self._offsets.append(self._clock() - now)
            case LostThere(sound=seconds, pictures=count) if self._rate:
                reason = "the connection to the visitor is too slow"
                self._losses[0].add(0, seconds, reason)
                self._losses[1].add(count, 0.0, reason)
            case _:
                raise Refused("message", "the first message has to be the start")
        return False

    def _captured(self, theirs: float, length: float = 0.0) -> float:
        """A time of the visitor's clock on ours. Nothing can arrive before it was captured: what
        seems to says that our reading of the clock was late."""
        latest = self._clock() - length - theirs
        if latest < min(self._offsets):
            self._offsets.append(latest)
        return theirs + min(self._offsets)

    def _take_sound(self, theirs: float, samples: bytes) -> None:
        length = len(samples) / 2 / self._rate
        if length > _MOST_SOUND:
            raise Refused("size", "the sound is longer than a second")
        if len(samples) % 2:
            raise Refused("message", "the sound has half a sample")
        if self._sound is None or not samples:
            return
        at = self._captured(theirs, length)
        losses = self._losses[0]
        losses.pass_on(self._sound)
        if not self._sound.send(Sound(self.number, at, self._rate, samples)):
            losses.add(0, length, "the session did not take the visitor's sound in time")
        else:
            losses.begun = True

    def _take_picture(self, theirs: float, jpeg: bytes) -> None:
        if self._pictures is None:
            return
        at = self._captured(theirs)
        losses = self._losses[1]
        if not self._allowed_pictures.take():
            losses.add(1, 0.0, "the visitor gives more than 30 pictures a second")
        else:
            try:
                jpeg_header.size(jpeg)
            except ValueError as error:
                self._refuse("picture")
                losses.add(1, 0.0, f"a picture of the visitor was refused: {error}")
            else:
                if self._pictures.send(Picture(self.number, at, jpeg)):
                    losses.begun = True
                else:
                    losses.add(1, 0.0, "the session did not take the visitor's pictures in time")
        losses.pass_on(self._pictures)
