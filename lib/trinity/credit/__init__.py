"""How much is left: limits and their resets, transcripts, incidents, the window, status, account."""
