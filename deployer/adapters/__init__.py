"""The outer world behind the ports: Docker, Git, the router, the clock, and the simulated engine."""
