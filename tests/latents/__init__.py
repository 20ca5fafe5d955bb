"""Digests of latents: what every kind of job draws, before the VAE, must stay the same bit for bit."""
