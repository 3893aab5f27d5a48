"""What a search may use, and what its calls cost."""
