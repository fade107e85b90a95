"""Writes by people: each checks, writes in one transaction, wakes whom it concerns, and leaves an audit entry."""
