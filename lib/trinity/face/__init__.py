"""What people and their programs look at: the importable monitor."""
