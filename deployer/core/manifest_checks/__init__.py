"""What is wrong with one object of a manifest, a module per noun.

Every check takes a typed object (or a part of one and its path) and yields Findings; it never stops at the first one,
never raises, and never quotes a value that could come from a Secret. Files, lines and namespaces' policies are joined
to the findings in `deployer.core.manifests`.
"""
