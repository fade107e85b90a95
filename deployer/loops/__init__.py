"""The loops: load, ask the core, save, act. One module per row of the design's table."""
