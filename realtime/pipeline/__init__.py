"""The pipeline's parts: messages, stages, services, sockets, settings."""
