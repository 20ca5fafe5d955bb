"""The tiled VAE inside the WebUI."""
