"""Reads, shaped for people and for the API. Nothing here writes, and nothing here asks a host or Git."""
