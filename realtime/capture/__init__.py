"""Where signals come from: a recording, a microphone, a camera, captions."""
