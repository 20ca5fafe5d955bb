"""Its text encoders."""
