"""What Metal says in other words than C++: each file rewrites one kind of text, line for line."""
