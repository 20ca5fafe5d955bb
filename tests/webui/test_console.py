"""An error that says what the user has to know is one line in the console, wherever it comes out."""

import gc
import logging

import pytest
from modules import errors

from tests.webui.host_model import Job, run
from tiled_diffusion.webui.hosts.failure import JobError

WRONG = (True, {"method": "x"})


@pytest.fixture(autouse=True)
def no_leftovers():
    """Errors of other tests are gone, and with them what keeps them quiet."""
    gc.collect()
    before = errors.report, errors.display
    yield
    gc.collect()
    assert (errors.report, errors.display) == before


def from_the_page(p):
    """As the host does for the page's Generate button."""
    try:
        run(p)
    except Exception:
        errors.report("Error completing request\nArguments: (...)", exc_info=True)


def from_a_plot(p):
    """As the plot script does for each cell."""
    try:
        run(p)
    except Exception as e:
        errors.display(e, "generating image for xyz plot")


@pytest.mark.parametrize("way", [from_the_page, from_a_plot])
@pytest.mark.parametrize("args", [WRONG, ("false",), (True, {"tile_width_lp": 16, "overlap_lp": 16})])
def test_a_wrong_setting_is_one_line(way, args, caplog, capsys):
    way(Job(args=args))
    assert capsys.readouterr().err == ""
    (line,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert line.startswith("Tiled Diffusion: ")
    assert "\n" not in line


@pytest.mark.parametrize("way", [from_the_page, from_a_plot])
def test_other_errors_are_printed_as_ever(way, capsys):
    way(Job(args=(True, {}), fail_at=1))
    assert "broken on purpose" in capsys.readouterr().err


def test_an_error_after_a_named_one_is_printed(capsys):
    from_the_page(Job(args=WRONG))
    from_the_page(Job(args=(True, {}), fail_at=1))
    assert capsys.readouterr().err.count("Error completing request") == 1


def test_while_a_named_error_lives_another_one_is_printed(capsys):
    with pytest.raises(JobError) as kept:
        run(Job(args=WRONG))
    from_the_page(Job(args=(True, {}), fail_at=1))
    assert "broken on purpose" in capsys.readouterr().err
    assert kept.value.status_code == 422
