"""The sources of signals: recordings, captions, microphone, camera; and the recorder."""
