"""What stands in a `.metal` file: its text, read into the parts that a call needs. Pure."""
