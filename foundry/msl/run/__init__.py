"""Compiled kernels in this process: loaded, laid out, launched."""
