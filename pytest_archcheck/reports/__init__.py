"""What people read: text for the terminal; plain data, no torch."""
