"""Where routers of simulated hosts find one another: an address for each host's name.

No packet goes there; it stands in configurations as any other node's does. The range is RFC 2544's, for benchmarks.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network

RANGE = IPv4Network("198.18.0.0/15")


def mesh_address(host: str) -> str:
    """Of the simulated host of this name, the same in every process."""
    place = int.from_bytes(hashlib.sha256(host.encode()).digest()[:4], "big") % (RANGE.num_addresses - 2)
    return str(IPv4Address(int(RANGE.network_address) + 1 + place))
