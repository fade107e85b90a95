"""What an operator says: Django's management commands, and where they stand."""
