"""Training data: batches, composed conversations, feature banks, simulated recognition errors."""
