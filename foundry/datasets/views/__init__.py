"""The views of a dataset: what a model is taught from the canonical table. One file a view.

A view turns the pool of one split into rows; each row holds what is read in training, and where it
comes from. To add one, write a module with a `VIEW` and name it in `registry`.
"""
