"""What we know: the canonical order, the ledger's tables and states, and their migrations."""
