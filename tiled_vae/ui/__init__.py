"""The panel of the tiled VAE, for any host that shows gradio."""
