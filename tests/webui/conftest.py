"""The stand-in of the WebUI, fresh for each test."""

import sys
from pathlib import Path

import pytest

FAKES = Path(__file__).parent / "fakes"
if str(FAKES) not in sys.path:
    sys.path.insert(0, str(FAKES))


@pytest.fixture(autouse=True)
def fresh_host(monkeypatch):
    """Model, options and state as after a start."""
    from modules import script_callbacks, shared

    from tests.webui.host_model import Model

    monkeypatch.setattr(shared, "sd_model", Model())
    monkeypatch.setattr(shared, "opts", type(shared.opts)())
    monkeypatch.setattr(shared.state, "interrupted", False)
    monkeypatch.setattr(shared.state, "skipped", False)
    script_callbacks.registered.clear()
