"""Jupyter widgets over view states and the front end's sources; each widget is imported from its own module."""
