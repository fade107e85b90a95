"""From what a commit holds at a path to manifests: as they are, or made by kustomize, Compose or Helm."""
