"""The panel of the tiled VAE."""
