"""Files that are there whole or not at all, with the permissions that a new file has."""

import os
import stat

import pytest

from tiled_diffusion.settings.files import write_whole
from tiled_diffusion.settings.presets import Presets


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o022, 0o077, 0o002], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_new_files_follow_the_umask(umask, tmp_path):
    write_whole(tmp_path / "a.bin", b"123")
    Presets(tmp_path).save("preset", {"version": 1})
    assert {mode(path) for path in tmp_path.iterdir()} == {0o666 & ~umask}


def test_an_older_file_is_replaced(tmp_path):
    for data in (b"a longer text", b"new"):
        write_whole(tmp_path / "a.bin", data)
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_what_breaks_off_leaves_the_older_file_and_nothing_else(error, tmp_path, monkeypatch):
    write_whole(tmp_path / "a.bin", b"old")

    def fail(_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        write_whole(tmp_path / "a.bin", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"
