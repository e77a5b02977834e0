"""Gaussian splats: the surface as flat discs, in the `.ply` that 3D Gaussian Splatting (Kerbl 2023) writes.

One splat for each voxel that the surface goes through, lying on it. Properties, all float32, little endian:
x, y, z; nx, ny, nz; f_dc_0..2 (colour = 0.5 + 0.2820948 f_dc, display values); opacity (logit); scale_0..2
(log of the standard deviations); rot_0..3 (quaternion, real part first). No f_rest: the colour is the same
from all sides, which viewers read as harmonics of degree 0. The axes are those of captures by COLMAP, y down,
for which viewers turn the picture; `docs/export.md` names some.
"""

from __future__ import annotations

import numpy as np

Y_DOWN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""World (x, y, z up) to y down."""
C0 = 0.28209479177387814
"""The constant spherical harmonic."""
# Standard deviations along and across the surface, in voxels: wide enough that neighbours close up.
ALONG, ACROSS = 0.6, 0.1
OPACITY = 0.98
_NAMES = [*"xyz", "nx", "ny", "nz", *(f"f_dc_{k}" for k in range(3)), "opacity"]
_NAMES += [*(f"scale_{k}" for k in range(3)), *(f"rot_{k}" for k in range(4))]


def splat_bytes(positions: np.ndarray, normals: np.ndarray, colours: np.ndarray, *, pitch: float) -> bytes:
    """The file.

    Args:
      positions: [n, 3], world frame, scene units.
      normals: [n, 3], unit.
      colours: [n, 3] in [0, 1], display values.
      pitch: distance between splats, scene units.

    Returns:
      Its bytes.
    """
    n = len(positions)
    turned = normals @ Y_DOWN.T
    deviations = np.log(np.array([ALONG, ALONG, ACROSS]) * pitch)
    columns = [
        positions @ Y_DOWN.T,
        turned,
        (colours - 0.5) / C0,
        np.full((n, 1), np.log(OPACITY / (1.0 - OPACITY))),
        np.broadcast_to(deviations, (n, 3)),
        rotations(turned),
    ]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {n}"]
    lines += [f"property float {name}" for name in _NAMES] + ["end_header"]
    return "\n".join(lines).encode() + b"\n" + np.concatenate(columns, axis=-1).astype("<f4").tobytes()


def rotations(normals: np.ndarray) -> np.ndarray:
    """Unit quaternions [n, 4] (real part first) of the shortest turns from the z axis to normals [n, 3]."""
    x, y, z = normals.T
    # From z to n: (1 + z . n, z x n), unless n is opposite, where any half turn about a level axis will do.
    quaternion = np.stack([1.0 + z, -y, x, np.zeros_like(x)], axis=-1)
    quaternion[z < -1.0 + 1e-9] = (0.0, 1.0, 0.0, 0.0)
    return quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
