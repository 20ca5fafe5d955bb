"""What acts on a step besides the tiles."""
