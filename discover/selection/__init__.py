"""The tree of kernels, and which of them to expand next. Pure: no I/O, no clock."""
