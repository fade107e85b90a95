"""The names of pods' servers in a router."""

BACKUP = "_backup"
"""Ends the name of a pod's server that serves only when all others of its backend are down."""


def pod_key(server: str) -> str:
    """Whose server it is, without such an ending: no pod's name has "_" in it.

    >>> pod_key("shop.web-5d8f7-x2x_backup")
    'shop.web-5d8f7-x2x'
    """
    return server.partition("_")[0]
