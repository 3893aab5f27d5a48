"""Loops over threads with short vectors, rewritten in LLVM text for the compiler to widen."""
