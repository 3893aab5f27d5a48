"""What is put into the build of a kernel: a check before every access, and the line of each."""
