"""The command line: encodes and decodes files with a VAE from a diffusers folder."""
