"""Apple GPUs as data: what is known of each chip, and where it is published."""
