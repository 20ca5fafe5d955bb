"""Models: what is loaded."""

from types import SimpleNamespace

model_data = SimpleNamespace(sd_model=None)
