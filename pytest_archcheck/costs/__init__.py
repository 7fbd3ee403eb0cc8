"""MAC, parameter and byte arithmetic on a trace; plain data, no torch."""
