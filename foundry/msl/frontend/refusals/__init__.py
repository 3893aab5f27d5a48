"""What a kernel may not say: each file refuses one kind of text, on its line."""
