"""What is put before a network: batches, composed conversations, features, recognition errors."""
