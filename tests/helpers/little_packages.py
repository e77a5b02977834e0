"""Packages for tests in the layout of the real ones: a few pictures of emoji, and a library of 3D models."""

import dataclasses
import hashlib
import io
import json
import tarfile
import zipfile

import numpy as np
from PIL import Image

from voxjax.picturebook import archives, names, sources

PATHS = {
    "noto": ("package/img/google/64/{}.png", "PNG"),
    "twemoji": ("package/img/twitter/64/{}.png", "PNG"),
    "fluent": ("package/assets/{}.webp", "WEBP"),
}
ICONS = tuple(name for name, each in sources.SOURCES.items() if each.members == sources.ICONS)
CUBE = """mtllib cube.mtl
v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1
usemtl paint
f 1 2 3 4\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8
"""


def picture(seed, size=24):
    """A coloured rectangle, off the middle, on nothing."""
    rng = np.random.default_rng(seed)
    image = np.zeros((size, size, 4), np.uint8)
    image[4:16, 2 : 8 + seed % 9] = [*rng.integers(0, 256, 3), 255]
    return Image.fromarray(image)


def tarred(files, mode="w:gz"):
    """Bytes of a tar archive with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def emoji_package(source, things):
    """A package of `source` with a picture for every code point of these things of the list."""
    path, kind = PATHS[source]
    files = {"package/README.md": b"pictures"}
    for i, thing in enumerate(things):
        for point in thing.code_points:
            buffer = io.BytesIO()
            picture(i).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
            files[path.format(point)] = buffer.getvalue()
    return tarred(files)


def icon_package(things):
    """A set of icons with a coloured square for each of these things of the list."""
    square = '<path fill="#{:06x}" d="M2 2h8v12h-8z"/>'
    icons = {
        thing.name.replace(" ", "-"): {"body": square.format(77777 * i)} for i, thing in enumerate(things)
    }
    return tarred({"package/icons.json": json.dumps({"icons": icons, "width": 16, "height": 16}).encode()})


def library(models):
    """A .sh3f file: name of each model -> its .obj, all in one orange."""
    lines, buffer = [], io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for i, (name, text) in enumerate(models.items(), start=1):
            lines += [f"name#{i}={name}", f"model#{i}=/m{i}/cube.obj"]
            lines += [f"width#{i}=20", f"height#{i}=40", f"depth#{i}=10"]
            opened.writestr(f"m{i}/cube.obj", text)
            opened.writestr(f"m{i}/cube.mtl", "newmtl paint\nKd 1.0 0.5 0.0\n")
        opened.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
    return buffer.getvalue()


def debian_package(files):
    """A .deb file with these files in its data."""
    result = b"!<arch>\n"
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": tarred(files, "w:xz")}
    for name, content in members.items():
        result += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        result += content + b"\n" * (len(content) % 2)
    return result


def put(cache, source, content, monkeypatch):
    """Puts an archive into a cache as the one that the table of sources means."""
    meant = dataclasses.replace(sources.SOURCES[source], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(sources.SOURCES, source, meant)
    file = cache / archives.ARCHIVES / meant.archive
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def fill(cache, monkeypatch, n_things=12):
    """A cache with pictures of the first things from all packages but OpenMoji, and four 3D models."""
    for source in PATHS:
        put(cache, source, emoji_package(source, names.things()[:n_things]), monkeypatch)
    for source in ICONS:
        put(cache, source, icon_package(names.things()[:n_things]), monkeypatch)
    chairs = {"Chair 1": CUBE, "Chair 2": CUBE, "Bookcase": CUBE, "Shelves 3": CUBE}
    files = {"./usr/share/furniture/Little.sh3f": library(chairs), "./usr/share/doc/copyright": b"free"}
    put(cache, "furniture", debian_package(files), monkeypatch)
