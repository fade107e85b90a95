"""The loops over simulated hosts and a fake clock: whole stories in milliseconds, each step of them repeatable."""
