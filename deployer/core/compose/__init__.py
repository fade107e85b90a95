"""Compose files as Deployments, Services, ConfigMaps and Secrets. Pure: files in, objects or errors out.

    files -> merged and interpolated -> services -> objects

Every field is mapped, or refused by name with file, line and remedy; a table in `refused` says why. Warnings are about
what changes nothing of what runs.
"""
