"""The studio: the standalone program in a browser."""
