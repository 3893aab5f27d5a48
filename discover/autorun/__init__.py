"""Searches of many ops from one recipe, and what is made of them."""
