"""How fast the pipeline is, as ratios in one run: `python -m realtime.bench`."""
