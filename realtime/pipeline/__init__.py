"""The parts of the pipeline: messages, stages, services, links, control, settings."""
