"""The text encoder's remarks."""

from types import SimpleNamespace

model_hijack = SimpleNamespace(extra_generation_params={}, comments=[])
