"""Commands about one kernel file: is it right, how fast is it, what does it touch."""
