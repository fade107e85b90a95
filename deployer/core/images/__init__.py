"""Image updates: what may be followed, and which tag is the newest of those. Pure."""
