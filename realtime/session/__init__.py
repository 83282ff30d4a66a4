"""A session: its worker processes, what they run, and who watches over them."""
