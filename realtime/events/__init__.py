"""The public event stream: its types, who receives it, and what it is written to."""
