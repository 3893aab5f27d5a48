"""What is known of kernels on this machine: verdicts, times, and where each one wins."""
