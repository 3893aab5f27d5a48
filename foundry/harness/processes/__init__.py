"""Worker processes: how they start, who has one, whose turn it is on the device."""
