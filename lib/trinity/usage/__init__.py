"""What the work cost: the ledger of billed messages, prices, reports, and how long the rest will last."""
