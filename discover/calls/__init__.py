"""LLM calls: whose turn it is, sending, waiting, sending again. Work under way on threads."""
