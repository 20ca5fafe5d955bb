"""Tiled Diffusion inside the AUTOMATIC1111 WebUI: the only package that talks to it."""
