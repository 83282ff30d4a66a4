"""The gateway: serves the events of a session, and a page that shows them, to browsers."""
