"""Everything that turns signals into an emotion; no devices, sockets, processes or corpora."""
