"""Workloads: what a Deployment's replica sets and pods should be next. Pure; `deployment.reconcile` is the door."""
