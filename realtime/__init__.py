"""Capture, pipeline stages, ZeroMQ, event stream and the commands that people run."""
