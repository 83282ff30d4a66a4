"""Configurations that ship: one YAML file for each set-up of the live system, each training recipe,
each leaderboard."""
