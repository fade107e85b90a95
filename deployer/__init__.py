"""The work: what to do is decided in `core`, and done by `loops` through `adapters`."""
