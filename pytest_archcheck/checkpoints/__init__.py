"""Checkpoints: which tensors a file holds, read without loading one, and whether a model takes them."""
