"""What comes back: the kernel file in a reply, and whether the search has it already."""
