"""The region documents that Python and the browser must agree on."""

import json
from pathlib import Path

import pytest

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.values import settings_from_dict

FIXTURES = json.loads((Path(__file__).parents[1] / "fixtures" / "regions.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", FIXTURES, ids=lambda e: e["name"])
def test_shared_documents(entry):
    if entry["valid"] or entry.get("valid_outside_the_editor"):
        value = settings_from_dict(entry["document"])
        assert settings_from_dict(json.loads(json.dumps(value.to_dict()))) == value
    else:
        with pytest.raises(SettingsError) as e:
            settings_from_dict(entry["document"])
        assert entry["field"] in str(e.value)
        assert len(str(e.value)) < 600
