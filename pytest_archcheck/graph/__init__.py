"""Questions about the flow of data through a trace; plain data, no torch."""
