"""Django's PostgreSQL backend with one writer at a time: base.py. The name is Django's, by which it finds a backend."""
