"""MagicaVoxel files, read back by a reader written from the format's description alone."""

import io
import struct

import numpy as np
import pytest

from voxjax.mesh.vox import MOST, quantise, vox_bytes


def read_vox(data):
    """(size, {(x, y, z): (red, green, blue)})."""
    stream = io.BytesIO(data)
    assert stream.read(4) == b"VOX " and struct.unpack("<i", stream.read(4)) == (150,)
    chunks = {}

    def read_chunk(end):
        while stream.tell() < end:
            name = stream.read(4).decode()
            n_content, n_children = struct.unpack("<ii", stream.read(8))
            chunks[name] = stream.read(n_content)
            read_chunk(stream.tell() + n_children)

    read_chunk(len(data))
    assert stream.tell() == len(data) and set(chunks) == {"MAIN", "SIZE", "XYZI", "RGBA"}
    (n,) = struct.unpack("<i", chunks["XYZI"][:4])
    assert len(chunks["XYZI"]) == 4 + 4 * n and len(chunks["RGBA"]) == 1024
    # The file's palette starts at colour 1; colour 0 is air.
    palette = {i + 1: struct.unpack("4B", chunks["RGBA"][4 * i : 4 * i + 4]) for i in range(255)}
    voxels = {}
    for i in range(n):
        x, y, z, colour = struct.unpack("4B", chunks["XYZI"][4 + 4 * i : 8 + 4 * i])
        assert colour > 0 and palette[colour][3] == 255
        voxels[x, y, z] = palette[colour][:3]
    assert len(voxels) == n
    return struct.unpack("<iii", chunks["SIZE"]), voxels


def test_blocks_and_few_colours_come_back_exactly():
    rng = np.random.default_rng(0)
    filled = rng.random((7, 5, 9)) < 0.4
    shades = rng.integers(0, 256, (200, 3))
    colours = shades[rng.integers(0, 200, filled.sum())]
    size, voxels = read_vox(vox_bytes(filled, colours / 255))
    assert size == (7, 5, 9)
    expected = {
        tuple(p): tuple(c) for p, c in zip(np.argwhere(filled).tolist(), colours.tolist(), strict=True)
    }
    assert voxels == expected


def test_many_colours_become_the_nearest_of_255():
    filled = np.ones((20, 20, 20), bool)
    at = np.argwhere(filled) / 19
    _, voxels = read_vox(vox_bytes(filled, at))
    assert len(set(voxels.values())) <= 255
    error = np.abs(np.array([voxels[tuple(p)] for p in np.argwhere(filled).tolist()]) / 255 - at)
    assert error.mean() < 0.05 and error.max() < 0.2


def test_the_largest_block_has_the_last_place_and_no_more():
    filled = np.zeros((MOST, 1, 1), bool)
    filled[-1] = True
    size, voxels = read_vox(vox_bytes(filled, np.array([[1.0, 0.5, 0.0]])))
    assert size == (256, 1, 1) and voxels == {(255, 0, 0): (255, 128, 0)}
    with pytest.raises(ValueError, match="at most 256"):
        vox_bytes(np.ones((257, 1, 1), bool), np.ones((257, 3)))


def test_a_palette_holds_every_colour_that_fits():
    colours = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    index, palette = quantise(colours)
    np.testing.assert_array_equal(palette[index], 255 * colours)
