"""A session: its plan, its worker processes, and their supervision."""
