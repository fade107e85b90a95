"""Typed, strict Kubernetes objects: the fields that Pierhead honours."""
