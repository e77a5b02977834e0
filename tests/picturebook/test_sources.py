"""Packages: fetched by their registries' programs, verified, read; and what is said where that fails."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from helpers import little_packages
from PIL import Image

from voxjax.errors import UserError
from voxjax.picturebook import archives, bank, emoji, furniture, icons, names, sources


def test_every_source_says_whose_it_is():
    for source in sources.SOURCES.values():
        assert source.credit and source.licence and len(source.sha256) == 64
    used = {name for side in bank.SIDES.values() for name in side} - {"models"}
    assert used == set(sources.SOURCES) - {"furniture"} == set(emoji.EMOJI)
    assert not set(bank.SIDES["picturebook"]) & set(bank.SIDES["picturebook-eval"]) - {"models"}


def program(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_package_is_fetched_once_and_verified(tmp_path, monkeypatch):
    source = sources.SOURCES["fluent"]
    content = little_packages.emoji_package("fluent", names.things()[:2])
    little_packages.put(tmp_path / "other", "fluent", content, monkeypatch)
    source = sources.SOURCES["fluent"]
    kept = tmp_path / "other" / archives.ARCHIVES / source.archive
    program(tmp_path / "bin", "npm", f'echo "$@" >> {tmp_path}/asked; cp {kept} {source.archive}')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for _ in range(2):
        file = archives.fetch(source, tmp_path / "cache")
        assert hashlib.sha256(file.read_bytes()).hexdigest() == source.sha256
    assert (tmp_path / "asked").read_text() == "pack --silent @lobehub/fluent-emoji-3d@1.1.0\n"
    file.write_bytes(b"something else")
    with pytest.raises(UserError, match="is not the @lobehub/fluent-emoji-3d 1.1.0 that is meant"):
        archives.fetch(source, tmp_path / "cache")


def test_what_cannot_be_fetched_is_named_with_the_place_it_belongs(tmp_path, monkeypatch):
    source = sources.SOURCES["noto"]
    program(tmp_path / "bin", "npm", "echo 'npm error 404' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(UserError, match=f"npm error 404.*put {source.archive} .*archives"):
        archives.fetch(source, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm is not installed.*put emoji-datasource-google"):
        archives.fetch(source, tmp_path)


def test_both_kinds_of_package_are_read(tmp_path):
    files = {"./a/one.txt": b"1", "./a/two.bin": b"22"}
    for name, content in (
        ("p.tgz", little_packages.tarred(files)),
        ("p.deb", little_packages.debian_package(files)),
    ):
        (tmp_path / name).write_bytes(content)
        found = archives.read_members(
            tmp_path / name, lambda path: path[4:] if path.endswith("txt") else None
        )
        assert found == {"one.txt": b"1"}
    (tmp_path / "broken.tgz").write_bytes(content[:100])
    with pytest.raises(UserError, match=r"cannot read .*broken.tgz"):
        archives.read_members(tmp_path / "broken.tgz", str)


def test_pictures_are_cropped_to_their_outline():
    image = np.zeros((40, 40, 4), np.uint8)
    image[10:20, 30:35] = [200, 100, 0, 255]
    found = emoji.crop(Image.fromarray(image))
    inside = found[:, 16:48]
    np.testing.assert_array_equal(inside[2:-2, 2:-2], np.broadcast_to([200, 100, 0, 255], (60, 28, 4)))
    assert found[:, :15].max() == found[:, 49:].max() == 0


def test_emoji_are_found_by_code_point_and_kept(tmp_path, monkeypatch):
    listed = names.things()[:12]
    little_packages.put(tmp_path, "noto", little_packages.emoji_package("noto", listed), monkeypatch)
    pictures, things = emoji.pictures("noto", tmp_path)
    wanted = [i for i, thing in enumerate(listed) for _ in thing.code_points]
    np.testing.assert_array_equal(things, wanted)
    assert pictures.shape == (len(wanted), 64, 64, 4)
    for archive in (tmp_path / archives.ARCHIVES).iterdir():
        archive.unlink()
    again, _ = emoji.pictures("noto", tmp_path)  # from the cache
    np.testing.assert_array_equal(again, pictures)


def test_icons_are_found_by_any_of_their_names(tmp_path):
    square = '<path fill="#ff0000" d="M{0} {0}h4v4h-4z"/>'
    stored = {
        "icons": {
            "lady-beetle": {"body": square.format(0), "left": -2, "height": 8, "width": 10},
            "soccerball": {"body": square.format(1)},
            "turkey": {"body": square.format(2)},
        },
        "aliases": {"football-ball": {"parent": "soccerball"}, "apple": {"parent": "turkey", "hFlip": True}},
        "height": 32,
    }
    archive = tmp_path / "set.tgz"
    archive.write_bytes(little_packages.tarred({"package/icons.json": json.dumps(stored).encode()}))
    found = icons.read(archive)
    assert set(found) == {"ladybeetle", "soccerball", "turkey", "footballball"}
    assert b'viewBox="-2.0 0.0 10.0 8.0"' in found["ladybeetle"]
    assert b'viewBox="0.0 0.0 16.0 32.0"' in found["soccerball"]
    assert found["footballball"] == found["soccerball"]
    listed = {thing.name: thing for thing in names.things()}
    assert icons.of(listed["soccer ball"], found) == [found["soccerball"]]
    ladybug = dataclasses.replace(listed["ladybug"], others=())
    assert icons.of(ladybug, found) == [found["ladybeetle"]], "Unicode calls it so"
    assert icons.of(listed["turkey"], found) == [], "some sets have a flag there"
    assert icons.of(listed["cactus"], found) == []
    archive.write_bytes(little_packages.tarred({"package/icons.json": b"[]"}))
    with pytest.raises(UserError, match=r"set.tgz has no set of icons"):
        icons.read(archive)


def test_svg_is_drawn():
    square = b'<rect x="2" y="2" width="6" height="6"/>'
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">' + square + b"</svg>"
    pixels = np.asarray(emoji._svg(svg))
    assert pixels[64, 64].tolist() == [0, 0, 0, 255] and pixels[4, 4, 3] == 0


def test_no_model_is_shown_to_both_and_work_done_is_kept(tmp_path, monkeypatch):
    little_packages.fill(tmp_path, monkeypatch)
    shown = [furniture.pictures(tmp_path, half) for half in (0, 1)]
    chair, bookcase = (
        next(i for i, thing in enumerate(names.things()) if thing.name == name)
        for name in ("chair", "bookcase")
    )
    n = furniture.N_VIEWS
    for pictures, things in shown:
        assert pictures.shape == (2 * n, 64, 64, 4)
        np.testing.assert_array_equal(
            sorted(things), [*[min(chair, bookcase)] * n, *[max(chair, bookcase)] * n]
        )
    kept = sorted((tmp_path / "views").iterdir())
    assert [file.stem for file in kept] == ["Little-1", "Little-2", "Little-3", "Little-4"]
    kept[0].unlink()
    times = [file.stat().st_mtime_ns for file in kept[1:]]
    again = [furniture.pictures(tmp_path, half) for half in (0, 1)]
    assert [file.stat().st_mtime_ns for file in kept[1:]] == times, "only what is missing is rendered"
    for before, after in zip(shown, again, strict=True):
        np.testing.assert_array_equal(before[0], after[0])


def test_a_model_that_cannot_be_read_is_left_out_and_said(tmp_path, monkeypatch, capsys):
    files = {"Odd.sh3f": little_packages.library({"Chair": "v 0 0 0\n", "Sofa": little_packages.CUBE})}
    little_packages.put(tmp_path, "furniture", little_packages.debian_package(files), monkeypatch)
    shown = [furniture._rendered(item, opened, tmp_path) for item, opened in _opened(tmp_path)]
    counts = [0 if each is None else len(each) for each in shown]
    assert sorted(counts) == [0, furniture.N_VIEWS]
    assert "left out: m1/cube.obj: no triangle" in capsys.readouterr().out


def _opened(cache):
    import zipfile

    content = archives.read_members(
        archives.fetch(sources.SOURCES["furniture"], cache),
        lambda path: path if path.endswith("sh3f") else None,
    )
    (cache / "Odd.sh3f").write_bytes(content["Odd.sh3f"])
    opened = zipfile.ZipFile(cache / "Odd.sh3f")
    catalogue = furniture.read_catalogue(opened.read("PluginFurnitureCatalog.properties").decode())
    return [(item, opened) for item in furniture.assign({"Odd": catalogue})]
