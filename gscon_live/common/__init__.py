"""Shared by all packages: commands, errors, files, registries, templates."""
