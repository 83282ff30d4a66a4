"""The training loop, and what it needs: losses, averages, gradient scaling."""
