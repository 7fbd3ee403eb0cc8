"""The documentation: its code blocks, its links, the site."""
