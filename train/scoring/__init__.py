"""Scores of networks: metrics, calibration, significance."""
