"""A media file as a source: sound, sampled pictures and captions, in file order.

It reads all containers and codecs of FFmpeg. Of a damaged or truncated file it reads what is left,
and a `Dropped` reports what is missing. The same file gives the same messages on every run.
"""

import hashlib
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from gscon_live.common.errors import InputError
from gscon_live.model.labels import SAMPLE_RATE
from gscon_live.realtime.capture import caption_files
from gscon_live.realtime.capture.audio_track import BLOCK, AudioTrack
from gscon_live.realtime.capture.joined_tracks import JoinedTracks
from gscon_live.realtime.capture.media import Track, VideoTrack
from gscon_live.realtime.capture.media_file import open_media, scan_packets
from gscon_live.realtime.capture.speaker_streams import check_tracks, choose_sound, names_of
from gscon_live.realtime.capture.stream_choice import choose_video
from gscon_live.realtime.capture.time_stamps import Join
from gscon_live.realtime.pipeline.messages import (
    AudioChunk,
    Cue,
    Dropped,
    End,
    Mark,
    Message,
    complete_at,
)
from gscon_live.realtime.pipeline.settings import Recording
from gscon_live.realtime.pipeline.stage import Source

#: The service's name in `Mark` and `End`.
_NAME = "recording"
#: Maximal distance of two marks, in seconds of media time.
_STEP = 0.5
#: Silence that is longer, in seconds, is given in blocks of this length.
_SILENCE = 1.0


class RecordingSource(Source):
    """Reads a recording from start to end, as fast as `read` is called.

    Known after `open`: `duration` in seconds; `has_audio`, `has_video`, `has_captions`;
    `captions_path`, the caption file in use; `audio_tracks`, their number; `speakers`, those who
    have a channel of the sound each; `description`, the file's name without its folder; `notices`,
    lines for the user.

    Args:
        path: the media file.
        settings: audio track, caption track and maximal frame width.
        captions: "auto" (a text track of the file, else a caption file beside it), "off", or the
            path of a caption file.
        frame_rate: maximal number of frames per second.
        want_audio, want_video: false leaves that medium undecoded.
        block: seconds of sound per `AudioChunk`.
        speakers_from: the setting `speakers.from`: with "tracks" and "channels", the sound has a
            channel for each speaker.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Recording,
        *,
        captions: str | Path = "auto",
        frame_rate: float = 10.0,
        want_audio: bool = True,
        want_video: bool = True,
        block: float = BLOCK,
        speakers_from: str = "voices",
    ) -> None:
        self.path = Path(path)
        self.description = self.path.name
        self.duration = 0.0
        self.has_audio = self.has_video = self.has_captions = False
        self.captions_path: Path | None = None
        self.audio_tracks = 0
        self.speakers: list[str] = []
        self.notices: list[str] = []
        self._settings = settings
        self._captions = captions
        self._frame_rate = frame_rate
        self._want = {"audio": want_audio, "video": want_video}
        self._block = block
        self._speakers_from = speakers_from
        self._container: Any = None
        self._audio: AudioTrack | JoinedTracks | None = None
        self._video: VideoTrack | None = None
        self._ended = True

    @property
    def filled(self) -> float:
        """Seconds of silence inserted so far where the recording has no sound."""
        return self._audio.filled if self._audio else 0.0

    def open(self) -> None:
        """Opens the file and finds its streams and captions.

        Raises:
            InputError: no such file, no sound and no moving pictures in it, no such audio or
                caption track, not several tracks or channels for speakers from these, or an
                unusable caption file.
        """
        self._container = container = open_media(self.path)
        try:
            self._open(container)
        except BaseException:
            self.close()
            raise

    def _open(self, container: Any) -> None:
        self.notices = []
        chosen = choose_sound(self.path, container, self._settings, self._speakers_from)
        video_choice = choose_video(container)
        self.audio_tracks, self.speakers = chosen.tracks, chosen.speakers
        for notice in [*chosen.notices, *video_choice.notices]:
            self.notices.append(f"{self.description}: {notice}")
        sound = chosen.streams
        pictures = [] if video_choice.stream is None else [video_choice.stream]
        self.has_audio, self.has_video = bool(sound), bool(pictures)
        if not (self.has_audio or self.has_video):
            raise InputError(
                f"recording {self.path}: no sound and no moving pictures in it that can be "
                "decoded; give a video or audio file"
            )
        start = Fraction(container.start_time or 0, 1_000_000)
        indexes = {stream.index for stream in [*sound, *pictures]}
        scan = scan_packets(self.path, indexes, start, self.has_audio)
        self.duration, self._missing = scan.duration, scan.missing
        self._unread = scan.unread
        sound, pictures = self._readable(sound, pictures, scan.encrypted)
        self._jumps = [join for join in scan.joins if join.left_out]
        self.notices += _about_joins(self.description, scan.joins)
        sound = sound if self._want["audio"] else []
        pictures = pictures if self._want["video"] else []
        self._audio = self._video = None
        self._tracks: dict[int, Track | JoinedTracks] = {}
        decoded = {
            stream.index: AudioTrack(
                stream,
                start,
                scan.times[stream.index],
                scan.shifts[stream.index],
                self._block,
                chosen.channels,
            )
            for stream in sound
        }
        if decoded:
            joined = JoinedTracks(self.path, decoded) if len(decoded) > 1 else None
            self._audio = joined or next(iter(decoded.values()))
            self._tracks |= dict.fromkeys(decoded, self._audio)
        for stream in pictures:
            width = self._settings.max_width
            times, shifts = scan.times[stream.index], scan.shifts[stream.index]
            self._video = VideoTrack(stream, start, times, shifts, self._frame_rate, width)
            self._tracks[stream.index] = self._video
        captions = caption_files.find(
            self.path, self._captions, self._settings.caption_track, scan.shifts
        )
        self.has_captions = bool(captions.cues)
        self.captions_path = captions.path
        self.notices += captions.notices
        self._cues = caption_files.within(captions.messages, self.duration)
        self._next_cue = 0
        self._mark = 0.0
        self._ended = False
        used = [*sound, *pictures]
        packets = iter(container.demux(used) if used else ())
        self._steps = self._decoded(packets)

    def read(self, timeout: float = 0.0) -> list[Message]:
        """The next messages in file order; empty only after `End`.

        A file has no waiting time: `timeout` is unused.
        """
        out: list[Message] = []
        while not out and not self._ended:
            out = next(self._steps)
        return out

    def close(self) -> None:
        """Closes the file; `read` gives nothing more."""
        self._ended = True
        if self._container is not None:
            self._container.close()
            self._container = None

    def digest(self) -> str:
        """blake2b (16 bytes, hex) of the recording and of the caption file in use."""
        digest = hashlib.blake2b(digest_size=16)
        for path in (self.path, self.captions_path):
            if path is not None:
                digest.update(path.stat().st_size.to_bytes(8, "little"))
                with path.open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
        return digest.hexdigest()

    def _decoded(self, packets: Iterator[Any]) -> Iterator[list[Message]]:
        """The messages of the file, packet by packet, and of long silence block by block."""
        while True:
            out: list[Message] = []
            try:
                packet = next(packets)
            except (StopIteration, av.error.FFmpegError):
                self._finish(out)
                yield out
                return
            if not packet.size:
                continue
            track = self._tracks[packet.stream.index]
            if track is self._audio:
                yield from self._silence_before(self._audio)
            self._put(track.feed(packet), out)
            if self._audio is not None and track is self._video:
                self._put(self._audio.fill(min(self._video.mark, self.duration)), out)
            self._advance(out)
            yield out

    def _silence_before(self, audio: AudioTrack | JoinedTracks) -> Iterator[list[Message]]:
        """Silence up to the next sound, in blocks, so that a long one takes no memory."""
        while math.isfinite(audio.next_time) and audio.next_time - audio.clock > _SILENCE:
            out: list[Message] = []
            self._put(audio.fill(audio.clock + _SILENCE), out)
            self._advance(out)
            yield out

    def _put(self, messages: list[Message], out: list[Message]) -> None:
        """Adds messages; captions come before the sound in which they begin."""
        for message in messages:
            if isinstance(message, AudioChunk):
                self._put_cues(complete_at(message), out)
            out.append(message)

    def _put_cues(self, until: float, out: list[Message]) -> None:
        while self._next_cue < len(self._cues):
            message = self._cues[self._next_cue]
            if (message.start if isinstance(message, Cue) else message.time) >= until:
                break
            out.append(message)
            self._next_cue += 1

    def _put_jumps(self, until: float, out: list[Message]) -> None:
        """Reports the holes that are left out up to a media time."""
        while self._jumps and self._jumps[0].time <= until:
            time, seconds = self._jumps.pop(0)
            what = "audio" if self._audio is not None else "frames"
            reason = f"the time stamps jump ahead by {seconds:.2f} s; times go on without that time"
            out.append(Dropped(time, what, 0, seconds, reason))

    def _advance(self, out: list[Message]) -> None:
        """Marks the time that both media have reached, in small steps for slow receivers."""
        marks = [track.mark for track in (self._audio, self._video) if track is not None]
        reached = min([*marks, self.duration])
        while self._mark + _STEP <= reached + 1e-9:
            self._mark = min(self._mark + _STEP, reached)
            self._put_jumps(self._mark, out)
            self._put_cues(self._mark, out)
            out.append(Mark(self._mark, _NAME))

    def _finish(self, out: list[Message]) -> None:
        for track in self._tracks.values():
            self._put(track.flush(), out)
        self._advance(out)
        self._put_jumps(math.inf, out)
        self._put_cues(math.inf, out)
        out += self._broken_off()
        out += self._not_read()
        if self._mark < self.duration:
            out.append(Mark(self.duration, _NAME))
        # A codec's padding can make the sound some milliseconds longer than the container says.
        sound = self._audio.position if self._audio is not None else 0.0
        out.append(End(_NAME, max(self.duration, sound)))
        self._ended = True

    def _broken_off(self) -> list[Message]:
        """A `Dropped` for each medium of a recording that breaks off."""
        if self._missing == 0:
            return []
        lost = 0.0 if math.isnan(self._missing) else self._missing
        length = f"{self.duration + lost:.2f}" if lost else "an unknown number of"
        reason = f"the recording breaks off: {self.duration:.2f} of {length} s can be read"
        rates = [(self._audio, SAMPLE_RATE), (self._video, self._frame_rate)]
        return [
            Dropped(self.duration, track.what, round(lost * rate), lost, reason)
            for track, rate in rates
            if track is not None
        ]

    def _not_read(self) -> list[Message]:
        """A `Dropped` for recordings that follow in the same file, beyond its stated end."""
        if self._unread is None:
            return []
        seconds, rate = self._unread.seconds, self._frame_rate
        what = "frames" if self._audio is None else "audio"
        count = round(seconds * (rate if self._audio is None else SAMPLE_RATE))
        return [Dropped(self.duration, what, count, seconds, self._unread.reason)]

    def _readable(
        self, sound: list[Any], pictures: list[Any], encrypted: set[int]
    ) -> tuple[list[Any], list[Any]]:
        """The streams without those under DRM. Raises `InputError`: none is left."""
        kept: list[list[Any]] = []
        notices: list[str] = []
        for streams, are in ((sound, "sound is"), (pictures, "pictures are")):
            kept.append([stream for stream in streams if stream.index not in encrypted])
            if len(kept[-1]) < len(streams):
                notices.append(f"{self.description}: its {are} encrypted (DRM) and not used")
        if notices and not any(kept):
            raise InputError(
                f"recording {self.path}: encrypted (DRM), so it cannot be read; give a copy "
                "without protection"
            )
        if self._speakers_from == "tracks" and len(kept[0]) < len(sound):
            check_tracks(self.path, kept[0])
            self.speakers = names_of(kept[0])
        self.notices += notices
        self.has_audio, self.has_video = bool(kept[0]), bool(kept[1])
        return kept[0], kept[1]


def _about_joins(name: str, joins: list[Join]) -> list[str]:
    """A notice about the places where the clock starts anew, if there are any."""
    anew = [join for join in joins if not join.left_out]
    if not anew:
        return []
    times = "" if len(anew) == 1 else f" {len(anew)} times, first"
    return [f"{name}: its time stamps start anew{times} at {anew[0].time:.2f} s; it is read on"]
