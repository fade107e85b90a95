"""The door for webhooks: takes deliveries in, judges them, asks for a look at the repository. Never waits for Git."""
