"""Who has what: the state ref, the outbox, heartbeats and the rotation of the fleet."""
