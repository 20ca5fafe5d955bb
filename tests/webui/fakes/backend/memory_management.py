"""Memory of the device."""

VAE_ALWAYS_TILED = False
