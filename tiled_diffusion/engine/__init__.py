"""The engine: a canvas cut into tiles, their predictions fused; stands on torch and numpy alone."""
