"""The standalone program: Tiled Diffusion on the diffusers library."""
