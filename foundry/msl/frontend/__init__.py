"""From a kernel's text to one C++ translation unit: tokens, refusal, rewriting. Pure text."""
