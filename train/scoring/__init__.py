"""What a model is worth: metrics, calibration, significance."""
