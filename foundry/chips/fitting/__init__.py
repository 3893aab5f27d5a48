"""Published times, and what the chip model makes of them: fit, accuracy, tables."""
