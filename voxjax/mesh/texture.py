"""A picture around the mesh: unwrapped by xatlas, baked from the field, with its seams spread.

Notation. (u, v) in [0, 1]^2, v upwards; texel (row, column) has its centre at ((column + 0.5) / size,
1 - (row + 0.5) / size).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xatlas

from voxjax.mesh.colours import ColoursOf
from voxjax.mesh.model import ColouredMesh
from voxjax.mesh.raster import rasterise

# Texels between charts, and how far the colours of a chart are spread beyond it.
_PADDING, _SPREAD = 2, 4


def textured(mesh: ColouredMesh, colours_of: ColoursOf, *, size_px: int) -> ColouredMesh:
    """Lays a texture around a mesh.

    Args:
      mesh: without one.
      colours_of: tells the colours of points.
      size_px: side of the texture.

    Returns:
      The mesh with `uv` and `texture`; vertices at seams are doubled, the triangles keep their order.
    """
    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    # Fewer, larger charts than by default: noisy surfaces would fall into thousands.
    charts.max_cost, charts.normal_deviation_weight = 8.0, 1.0
    packing.padding, packing.resolution, packing.bilinear = _PADDING, size_px, True
    atlas.generate(chart_options=charts, pack_options=packing)
    source, faces, uv = atlas[0]
    uv = uv.astype(np.float64) * _share(atlas, size_px)
    wrapped = replace(
        mesh,
        vertices=mesh.vertices[source],
        faces=faces.astype(np.int64),
        normals=mesh.normals[source],
        colours=mesh.colours[source],
        uv=uv,
    )
    return replace(wrapped, texture=_bake(wrapped, uv, colours_of, size_px))


def _share(atlas: xatlas.Atlas, size_px: int) -> np.ndarray:
    """What brings the atlas's own (u, v), each over its side, into a square of whole texels."""
    return np.array([atlas.width, atlas.height]) / max(atlas.width, atlas.height)


def _bake(mesh: ColouredMesh, uv: np.ndarray, colours_of: ColoursOf, size_px: int) -> np.ndarray:
    flat = np.stack([uv[:, 0] * size_px, (1.0 - uv[:, 1]) * size_px, np.ones(len(uv))], axis=-1)
    texels = rasterise(flat, mesh.faces, width_px=size_px, height_px=size_px)
    known = texels.mask
    corners, bary = mesh.faces[texels.face[known]], texels.bary[known].astype(np.float64)
    places = np.einsum("nk,nkc->nc", bary, mesh.vertices[corners])
    normals = np.einsum("nk,nkc->nc", bary, mesh.normals[corners])
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    image = np.zeros((size_px, size_px, 3))
    image[known] = colours_of(places, normals)
    image = spread(image, known, steps=_SPREAD)
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def spread(image: np.ndarray, known: np.ndarray, *, steps: int) -> np.ndarray:
    """Grows what is known into its surroundings, so that no seam shows when a texture is read between texels.

    Args:
      image: [height, width, 3].
      known: [height, width] bool.
      steps: texels; each gets the mean of its known neighbours out of eight.

    Returns:
      [height, width, 3]; what is farther away gets the mean of all that was known.
    """
    fill = image[known].mean(axis=0) if known.any() else np.zeros(3)
    image = np.where(known[..., None], image, 0.0)
    height, width = known.shape
    for _ in range(steps):
        padded = np.pad(np.concatenate([image, known[..., None]], axis=-1), ((1, 1), (1, 1), (0, 0)))
        shifts = [(dy, dx) for dy in range(3) for dx in range(3)]
        total = np.sum([padded[dy : dy + height, dx : dx + width] for dy, dx in shifts], axis=0)
        count = total[..., 3]
        new = ~known & (count > 0)
        image[new] = total[new, :3] / count[new, None]
        known = known | new
    return np.where(known[..., None], image, fill)
