"""The table of the suite: every case that is left out of a WebUI's run is one that there is."""

from tests.webui_suite import registry
from tests.webui_suite.__main__ import load_cases
from tests.webui_suite.left_out import LEFT_OUT


def test_only_cases_that_there_are_are_left_out():
    load_cases()
    names = [case.name for case in registry.CASES]
    assert len(names) == len(set(names)) > 80
    assert {name for left in LEFT_OUT.values() for name in left} <= set(names)
    assert LEFT_OUT["a1111"] == {}
    assert all(reason for left in LEFT_OUT.values() for reason in left.values())
