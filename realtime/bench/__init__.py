"""How fast the pipeline is, as ratios in one run: `gscon-live bench`."""
