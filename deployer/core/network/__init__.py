"""What a node's router is to do: names, addresses, endpoints, policies, and the text that HAProxy is given."""
