"""Commands that make, export and learn from what was judged."""
