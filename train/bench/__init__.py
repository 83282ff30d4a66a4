"""The cost of training and of answers."""
