"""Pictures of a 3D model from all sides: 64 px, transparent around, on a z-buffer in NumPy."""

from __future__ import annotations

import io
from collections.abc import Callable

import fast_simplification
import numpy as np
from PIL import Image

from voxjax.cameras import orbit_pose
from voxjax.mesh.raster import project, rasterise
from voxjax.picturebook.wavefront import Model

WIDTH_PX = 64
ELEVATION_DEG = (5.0, 60.0)
_DRAWN_PX = 96  # then averaged down
_DISTANCE = 3.5  # of the camera, in radii of the object
_MOST_FACES = 12_000  # of all surfaces without a texture together; those with one are left as they are
_TEXTURE_PX = 256  # finer than an object of 64 pixels can show
_OPAQUE = 0.1  # a surface with less opacity is left out
_AMBIENT = 0.5


def render(
    model: Model, read: Callable[[str], bytes], rng: np.random.Generator, *, n_views: int, upright: np.ndarray
) -> np.ndarray:
    """The model from sides spread evenly in azimuth, at any elevation between 5 and 60 degrees.

    Args:
      model: as read.
      read: path of a texture -> content; raises KeyError where there is no such file.
      rng: draws first azimuth, elevations and the lights.
      n_views: how many.
      upright: [3, 3], takes the model's axes to x, y and z up at its true proportions.

    Returns:
      [n_views, 64, 64, 4] uint8, colours not multiplied by alpha; the object as large as fits.
    """
    model = _decimated(_without_glass(model))
    vertices = model.vertices @ upright.T
    used = vertices[np.unique(model.faces)]
    centre = (used.min(0) + used.max(0)) / 2
    vertices = (vertices - centre) / np.linalg.norm(used - centre, axis=-1).max()
    corners = vertices[model.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True) + 1e-12
    paint = _Paint(model, read)
    azimuths = rng.uniform(0, 360) + (np.arange(n_views) + rng.uniform(-0.3, 0.3, n_views)) * 360 / n_views
    elevations = rng.uniform(*ELEVATION_DEG, n_views)
    poses = np.asarray(orbit_pose(azimuths, elevations, _DISTANCE), np.float64)
    return np.stack([_view(model, vertices, normals, paint, pose, rng) for pose in poses])


def _view(model, vertices, normals, paint: _Paint, pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = _DRAWN_PX
    points = _fitted(project(vertices, pose, focal=1.0, size_px=0), model.faces, size)
    seen = rasterise(points, model.faces, width_px=size, height_px=size, visible=paint.visible)
    mask = seen.mask
    colours = np.zeros((size, size, 3))
    face = seen.face[mask]
    # The side that is seen is lit, whichever way round its corners run; the light comes from above.
    facing = normals[face] * np.sign(normals[face] @ pose[:, 2])[:, None]
    light = pose[:, :3] @ [rng.uniform(-0.8, 0.8), rng.uniform(0.3, 1.0), 0.8]
    shade = _AMBIENT + (1.05 - _AMBIENT) * np.maximum(facing @ (light / np.linalg.norm(light)), 0.0)
    colours[mask] = np.clip(paint.colours(face, seen.bary[mask])[..., :3] * shade[:, None], 0.0, 1.0)
    rgba = np.rint(np.concatenate([colours, mask[..., None]], axis=-1) * 255).astype(np.uint8)
    # Averaged with colours multiplied by alpha, which here is 0 or 1: nothing bleeds in from outside.
    drawn = Image.fromarray(rgba).convert("RGBa")
    return np.asarray(drawn.resize((WIDTH_PX, WIDTH_PX), Image.Resampling.BOX).convert("RGBA"))


def _fitted(points: np.ndarray, faces: np.ndarray, size: int) -> np.ndarray:
    """Columns and rows shifted and scaled alike so that the object fills the picture."""
    used = points[np.unique(faces), :2]
    low, high = used.min(0), used.max(0)
    scale = (size - 2) / (high - low).max()
    flat = (points[:, :2] - (low + high) / 2) * scale + size / 2
    return np.concatenate([flat, points[:, 2:]], axis=-1)


class _Paint:
    """Colour and opacity of points on triangles."""

    def __init__(self, model: Model, read: Callable[[str], bytes]):
        self._model = model
        self._textures = {}
        for i, material in enumerate(model.materials):
            if material.texture is not None and (model.material_ids == i).any():
                self._textures[i] = _texture(material.texture, read)
        with_holes = [i for i, texture in self._textures.items() if texture[..., 3].min() < 0.5]
        self._has_holes = np.isin(model.material_ids, with_holes)

    def colours(self, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
        """[k] and [k, 3] -> [k, 4] in [0, 1]."""
        model = self._model
        ids = model.material_ids[face]
        base = np.stack([material.colour for material in model.materials])
        result = np.concatenate([base[ids], np.ones((len(ids), 1))], axis=-1)
        for i, texture in self._textures.items():
            own = np.flatnonzero(ids == i)
            uv = np.einsum("kc,kcd->kd", bary[own], model.uv[face[own]])
            height, width = texture.shape[:2]
            column = np.floor(uv[:, 0] % 1.0 * width).astype(int) % width
            row = np.floor((1.0 - uv[:, 1] % 1.0) * height).astype(int) % height
            result[own] *= texture[row, column]
        return result

    @property
    def visible(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
        """For `rasterise`: where textures with holes have none."""
        return self._solid if self._has_holes.any() else None

    def _solid(self, face: np.ndarray, bary: np.ndarray) -> np.ndarray:
        result = np.ones(len(face), bool)
        tested = np.flatnonzero(self._has_holes[face])
        result[tested] = self.colours(face[tested], bary[tested])[:, 3] > 0.5
        return result


def _texture(path: str, read: Callable[[str], bytes]) -> np.ndarray:
    """[height, width, 4] in [0, 1]; plain white where it is missing."""
    try:
        opened = Image.open(io.BytesIO(read(path)))
        opened.draft("RGB", (_TEXTURE_PX, _TEXTURE_PX))  # JPEG is decoded no finer than needed
        picture = opened.convert("RGBA")
        picture.thumbnail((_TEXTURE_PX, _TEXTURE_PX))
        return np.asarray(picture, np.float64) / 255
    except (KeyError, OSError):
        return np.ones((1, 1, 4))


def _without_glass(model: Model) -> Model:
    """Without surfaces that can hardly be seen; all of them where nothing else is left."""
    opacity = np.array([material.opacity for material in model.materials])[model.material_ids]
    kept = opacity >= _OPAQUE
    if not kept.any():
        return model
    return Model(model.vertices, model.faces[kept], model.uv[kept], model.material_ids[kept], model.materials)


def _decimated(model: Model) -> Model:
    """With fewer triangles where there are more than a picture can show, material by material."""
    plain = np.array([material.texture is None for material in model.materials])[model.material_ids]
    if plain.sum() <= _MOST_FACES:
        return model
    share = 1.0 - _MOST_FACES / plain.sum()
    vertices, faces, ids = [model.vertices], [model.faces[~plain]], [model.material_ids[~plain]]
    start = len(model.vertices)
    for i in np.unique(model.material_ids[plain]):
        used, own = np.unique(model.faces[plain & (model.material_ids == i)], return_inverse=True)
        points, triangles = model.vertices[used], own.reshape(-1, 3)
        if len(triangles) > 100:
            whole = points.astype(np.float32), triangles.astype(np.int32)
            points, triangles = fast_simplification.simplify(*whole, target_reduction=share)
        vertices.append(points)
        faces.append(triangles + start)
        ids.append(np.full(len(triangles), i))
        start += len(points)
    joined = np.concatenate(faces).astype(np.int64)
    uv = np.concatenate([model.uv[~plain], np.zeros((len(joined) - len(faces[0]), 3, 2))])
    return Model(np.concatenate(vertices), joined, uv, np.concatenate(ids), model.materials)
