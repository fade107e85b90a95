"""What `describe` prints, kind by kind. Text made from rows; nothing is asked of hosts or Git."""
