"""Progressive delivery: a new revision gets a part of the traffic, is judged, and goes on or goes back."""
