"""Presets on disk: names, broken files, whole or not at all."""

import os

import pytest

from tiled_diffusion.settings.presets import NotFoundError, PresetError, Presets

DOCUMENT = {"version": 2, "regions": [{"prompt": "a tree", "w": 0.5}]}
HOSTILE = [
    "", " ", "..", ".", "../x", "..\\x", "/etc/passwd", "a/b", "a\\b", "C:x", "a:b", "x\x00", "x\n", ".hidden", "end.",
    " lead", "trail ", "CON", "nul", "com1.txt", "LPT9", "a" * 81, "a*b", "what?", "<b>", "a|b", 'a"b', None, 3, ["a"],
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_touch_nothing(tmp_path, name):
    presets = Presets(tmp_path / "presets")
    presets.save("kept", DOCUMENT)
    for act in (lambda: presets.save(name, DOCUMENT), lambda: presets.read(name), lambda: presets.delete(name),
                lambda: presets.rename("kept", name)):  # fmt: skip
        with pytest.raises(PresetError, match="name|preset"):
            act()
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["kept.json"]


@pytest.mark.parametrize("name", ["one", "Zwei Türme", "雪山", "a-b_c (1)", "v1.2"])
def test_there_and_back(tmp_path, name):
    presets = Presets(tmp_path / "presets")
    presets.save(name, DOCUMENT)
    assert presets.read(name) == DOCUMENT
    assert [p["name"] for p in presets.listing()["presets"]] == [name]


def test_a_broken_file_is_told_and_kept(tmp_path):
    presets = Presets(tmp_path)
    presets.save("good", DOCUMENT)
    for name, text in (("torn", "{"), ("new", '{"version": 99}'), ("other", '{"a": 1}'), ("bytes", "\udcff")):
        (tmp_path / f"{name}.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    listing = presets.listing()
    assert [p["name"] for p in listing["presets"]] == ["good"]
    assert [b["file"] for b in listing["broken"]] == ["bytes.json", "new.json", "other.json", "torn.json"]
    assert "version 99" in listing["broken"][1]["error"]
    assert (tmp_path / "torn.json").read_text() == "{"


def test_a_failed_save_leaves_the_old_one(tmp_path, monkeypatch):
    presets = Presets(tmp_path)
    presets.save("one", DOCUMENT)
    with pytest.raises(PresetError, match="regions"):
        presets.save("one", {"regions": 1})
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(PresetError, match="disk full"):
        presets.save("one", {"version": 1})
    monkeypatch.undo()
    assert presets.read("one") == DOCUMENT
    assert [p.name for p in tmp_path.iterdir()] == ["one.json"]


def test_names_taken_and_missing(tmp_path):
    presets = Presets(tmp_path)
    presets.save("one", DOCUMENT)
    presets.save("two", {"version": 1})
    with pytest.raises(PresetError, match="already"):
        presets.rename("one", "two")
    with pytest.raises(NotFoundError):
        presets.rename("three", "four")
    presets.rename("one", "One")
    assert presets.read("One") == DOCUMENT
