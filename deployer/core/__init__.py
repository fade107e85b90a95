"""Deciding, pure: no Django, Celery, Docker, Git, sockets, clock, randomness or logging in here."""
