"""Whether two models have the same architecture up to names; plain data, no torch."""
