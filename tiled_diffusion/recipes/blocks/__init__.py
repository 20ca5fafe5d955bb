"""Pictures beyond what memory holds: enlarged block by block, and kept as Deep Zoom tiles."""
