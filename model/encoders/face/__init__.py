"""Face detection, and visual features of faces."""
