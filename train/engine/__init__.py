"""The training loop, losses, moving average of the weights and gradient scaling."""
