"""Webhooks, as far as they are a matter of bytes: who signed one, what it says, and what is to come of it."""
