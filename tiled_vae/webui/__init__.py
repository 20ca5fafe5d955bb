"""The tiled VAE inside the AUTOMATIC1111 WebUI: the only package of it that talks to the WebUI."""
