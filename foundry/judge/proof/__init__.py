"""Whether it came out, and from this kernel: comparison, and proof of execution."""
