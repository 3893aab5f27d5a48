"""Times kernels on the user's machine: `python -m NAME tune`."""
