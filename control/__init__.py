"""State and people: the Django project.

Nothing is imported here, so that the supervisor of `up` may use `control.data` without loading Django.
"""
