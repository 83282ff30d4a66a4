"""Imported once by the process from which workers are forked, so that they start at once."""

import contextlib

import av
import cv2
import faster_whisper
import msgspec
import zmq

with contextlib.suppress(ImportError):
    import model.checkpoint
    import model.detector
    import model.recogniser
    import model.text

import realtime.assembly
import realtime.listen.segmenter
import realtime.worker

__all__ = ["av", "cv2", "faster_whisper", "model", "msgspec", "realtime", "zmq"]
