"""Names of the files that pictures go to."""

import pytest

from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.output import Target, numbered, numbered_names


@pytest.mark.parametrize(
    ("there", "names"),
    [
        ([], ["00001-7.png", "00002-8.png"]),
        (["00001-7.png", "00004-1.png"], ["00005-7.png", "00006-8.png"]),
        (["00003-7-edited.png", "cat.png", "1-7.png", "00009-7.jpg", "00008.png"], ["00004-7.png", "00005-8.png"]),
        (["99999-7.png"], ["100000-7.png", "100001-8.png"]),
        (["100000-7.png", "99999-7.png"], ["100001-7.png", "100002-8.png"]),
    ],
)
def test_numbers_go_on_after_the_last_one(there, names, tmp_path):
    for name in there:
        (tmp_path / name).touch()
    for files in (numbered_names(tmp_path, [7, 8]), Target(tmp_path).names([7, 8])):
        assert [path.name for path in files] == names
        assert not any(path.exists() for path in files)


def test_numbered_pictures_are_in_order(tmp_path):
    for name in ("100000-1.png", "00002-1.png", "00002-3.png", "99999-1.png", "other.png"):
        (tmp_path / name).touch()
    assert [number for number, _ in numbered(tmp_path)] == [2, 2, 99999, 100000]


def test_a_file_is_itself_or_one_for_each_seed(tmp_path):
    target = Target(tmp_path / "new" / "a.PNG")
    target.prepare()
    assert target.path.parent.is_dir()
    assert target.names([7]) == [target.path]
    assert [path.name for path in target.names([7, 8])] == ["a-7.png", "a-8.png"]


def test_places_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    for place, named in (("a.jpg", "a.jpg"), ("file/sub", "file")):
        with pytest.raises(TiledError, match=f"--out: .*{named}"):
            Target(tmp_path / place).prepare()
