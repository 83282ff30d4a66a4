"""From frames to faces: detection, tracking, mouth movement, features."""
