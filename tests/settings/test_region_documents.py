"""The region documents that Python and the browser must agree on."""

import json
import time
from pathlib import Path

import pytest

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.values import settings_from_dict

FIXTURES = json.loads((Path(__file__).parents[1] / "fixtures" / "regions.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", FIXTURES, ids=lambda e: e["name"])
def test_shared_documents(entry):
    begun = time.perf_counter()
    if entry["valid"]:
        value = settings_from_dict(entry["document"])
        assert settings_from_dict(json.loads(json.dumps(value.to_dict()))) == value
    else:
        with pytest.raises(SettingsError) as e:
            settings_from_dict(entry["document"])
        assert entry["field"] in str(e.value)
        assert len(str(e.value)) < 600
    assert time.perf_counter() - begun < 0.5  # 20 milliseconds at most on an idle machine
