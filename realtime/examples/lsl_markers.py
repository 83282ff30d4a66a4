"""Prints the markers of a session from LSL, with their times: python lsl_markers.py"""

import pylsl

(stream,) = pylsl.resolve_byprop("name", "gscon-markers", timeout=30)
inlet = pylsl.StreamInlet(stream)
inlet.open_stream()
print("connected")
marker = ""
while marker != "session/ended":
    (marker,), stamp = inlet.pull_sample()
    print(f"{stamp + inlet.time_correction():.3f} {marker}")
