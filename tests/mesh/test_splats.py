"""Gaussian splats: the layout of 3DGS read with `struct`, discs on the surface, and who is up."""

import struct

import numpy as np

from voxjax.mesh.splats import ACROSS, ALONG, OPACITY, Y_DOWN, rotations, splat_bytes

NAMES = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
NAMES += ["scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]


def read_splats(data):
    """One dictionary for each splat."""
    header, body = data.split(b"end_header\n", 1)
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert lines[2].startswith("element vertex ")
    n = int(lines[2].split()[-1])
    names = [line.split()[-1] for line in lines[3:]]
    assert all(line.startswith("property float ") for line in lines[3:])
    assert len(body) == n * 4 * len(names)
    return [
        dict(zip(names, struct.unpack_from(f"<{len(names)}f", body, 4 * len(names) * i), strict=True))
        for i in range(n)
    ]


def matrix_of(w, x, y, z):
    """The textbook's rotation matrix of a unit quaternion."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_every_property_means_what_viewers_take_it_for():
    rng = np.random.default_rng(0)
    positions, normals, colours = rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), rng.random((9, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    splats = read_splats(splat_bytes(positions, normals, colours, pitch=0.04))
    assert len(splats) == 9
    for splat, position, normal, colour in zip(splats, positions, normals, colours, strict=True):
        assert list(splat) == NAMES
        # World up (z) is -y, as in captures; right stays right.
        np.testing.assert_allclose([splat["x"], splat["z"], -splat["y"]], position, rtol=1e-5)
        shown = [0.5 + 0.28209479177387814 * splat[f"f_dc_{k}"] for k in range(3)]
        np.testing.assert_allclose(shown, colour, atol=1e-6)
        np.testing.assert_allclose(1 / (1 + np.exp(-splat["opacity"])), OPACITY, rtol=1e-5)
        deviations = np.exp([splat[f"scale_{k}"] for k in range(3)])
        np.testing.assert_allclose(deviations, np.array([ALONG, ALONG, ACROSS]) * 0.04, rtol=1e-5)
        turn = matrix_of(*[splat[f"rot_{k}"] for k in range(4)])
        # The thin axis is the third, and lies along the normal.
        np.testing.assert_allclose(turn[:, 2], [normal[0], -normal[2], normal[1]], atol=1e-5)
        np.testing.assert_allclose([splat["nx"], splat["ny"], splat["nz"]], turn[:, 2], atol=1e-5)


def test_turns_are_turns_also_upside_down():
    found = rotations(np.array([[0.0, 0, 1], [0, 0, -1], [1, 0, 0], [0, -1, 0]]))
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1.0)
    for quaternion, z in zip(found, [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0, -1, 0]], strict=True):
        turn = matrix_of(*quaternion)
        np.testing.assert_allclose(turn @ [0, 0, 1], z, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(turn), 1.0)
    np.testing.assert_allclose(np.linalg.det(Y_DOWN), 1.0)
