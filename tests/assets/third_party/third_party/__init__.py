"""A package that adds a network, a plug-in and a sink from outside the project."""
