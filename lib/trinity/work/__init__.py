"""What is carried: the handoff record, what a session was doing, and starting Claude Code again."""
