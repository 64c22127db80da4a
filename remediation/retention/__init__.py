"""What is kept for how long, what a legal hold keeps longer, and the receipts of what was purged."""
