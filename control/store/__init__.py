"""Models to core values and back: the only door from the loops to the ORM. A module per loop."""
