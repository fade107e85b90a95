"""Survival: which hosts are there, which are dead, and when the pods of a dead one are replaced. Pure."""
