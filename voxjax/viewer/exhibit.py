"""A run as the viewer draws it: from any camera, cut at a threshold and at the faces of a box.

Notation. least: density (1 / length) below which a sample counts as empty; a threshold on opacity is one on
density, least = -log(1 - alpha) / interval. stride: how many of the run's steps one sample of a quick picture
stands for.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from voxjax.cameras import orbit_pose
from voxjax.fields.activation import density_to_raw
from voxjax.fields.grid import query_voxels
from voxjax.lattice import read_lattice
from voxjax.pictures.images import mean_depth
from voxjax.pictures.views import CHUNK_RAYS, CHUNK_RAYS_GPU, visible_box
from voxjax.rendering.marching import march_image
from voxjax.rendering.volume import Query
from voxjax.run import Run
from voxjax.structs import Array, Rendering, Samples, VoxelGrid
from voxjax.viewer.camera import FOV, Camera, pixel_rays

Box = tuple[tuple[float, float, float], tuple[float, float, float]]
"""(lower, upper) corner, world frame, scene units."""

# Samples over the edge of the field's box in a quick picture; a run that takes fewer keeps its own steps.
_QUICK_SAMPLES = 96
# Vertices along each edge of the grid in the place of a network.
_STAND_IN_SIDE = 64
# Rays at a time where every sample asks a network: a chunk is what a picture that nobody wants still costs.
_NETWORK_RAYS = 512
# The camera goes anywhere: what is shown is bounded by the field's box alone.
_NEAR, _FAR = 0.02, 1000.0


@dataclasses.dataclass(frozen=True)
class Cut:
    """What is left out of a picture.

    Attributes:
      alpha: opacity of one sample below which it is left out, in [0, 1).
      box: outside which nothing is shown; None for the whole object.
    """

    alpha: float = 0.0
    box: Box | None = None


@struct.dataclass
class _CutScene:
    scene: object
    least: Array
    lower: Array
    upper: Array


@dataclasses.dataclass(frozen=True)
class _CutQuery:
    """A field's `query` with the cuts applied; equal to that of any other checkpoint of the run."""

    query: Query

    def __call__(self, cut: _CutScene, samples: Samples) -> tuple[Array, Array]:
        density, colour = self.query(cut.scene, samples)
        positions = samples.positions
        inside = jnp.all((positions >= cut.lower) & (positions <= cut.upper), axis=-1)
        return jnp.where(inside & (density >= cut.least), density, 0.0), colour


class Exhibit:
    """One checkpoint of a run, ready to be drawn.

    Args:
      run: the opened run.

    Attributes:
      run: the same.
      box: (lower [3], upper [3]), around all that can be seen, scene units.
      centre: [3], middle of the solid surface, scene units; of the box before `warm`, and where nothing is.
      radius: of the sphere around that surface, likewise.
      has_network: every sample asks a network, so that quick pictures are drawn from a stand-in.
    """

    def __init__(self, run: Run):
        self.run = run
        self.box: tuple[np.ndarray, np.ndarray] = tuple(map(np.asarray, visible_box(run)))  # type: ignore
        self.has_network = not isinstance(run.scene, VoxelGrid)
        self.centre = (self.box[0] + self.box[1]) / 2.0
        self.radius = max(float(np.linalg.norm(self.box[1] - self.box[0])) / 2.0, 1e-2)
        self._query = _CutQuery(run.query)
        self._quick = self._query, run.scene, run.stage.step_size
        if self.has_network:
            # A picture of a network asks it some hundred thousand times; the same object on a grid turns.
            grid = read_lattice(run, (_STAND_IN_SIDE,) * 3)
            edge = np.asarray(grid.upper - grid.lower).mean() / (_STAND_IN_SIDE - 1)
            self._quick = _CutQuery(query_voxels), grid, float(edge)

    def draw(
        self,
        camera: Camera,
        width: int,
        height: int,
        cut: Cut | None = None,
        *,
        quick: bool = False,
        wanted: Callable[[], bool] | None = None,
    ) -> Rendering:
        """Renders the object.

        Args:
          camera: from which it is seen.
          width: of the picture in pixels.
          height: of the picture in pixels.
          cut: what is left out.
          quick: with fewer samples, and from the stand-in of a network.
          wanted: see `march_image`.

        Returns:
          Rendering [height, width] of NumPy arrays.

        Raises:
          GivenUp: `wanted` said no.
        """
        run, cut = self.run, cut or Cut()
        query, scene, step_size = self._quick if quick else (self._query, run.scene, run.stage.step_size)
        edge = float(np.max(np.asarray(run.scene.upper) - np.asarray(run.scene.lower)))
        stride = max(1.0, edge / _QUICK_SAMPLES / step_size) if quick else 1.0
        # Lengths in the unit of 1 / density go with those in scene units.
        interval = run.stage.interval / run.stage.step_size * step_size
        lower, upper = self._cut_box(cut)
        cut_scene = _CutScene(scene, jnp.float32(_density(cut.alpha, run.stage.interval)), lower, upper)
        slow = self.has_network and not quick
        on_cpu = jax.default_backend() == "cpu"
        return march_image(
            query,
            cut_scene,
            pixel_rays(camera, width, height),
            near=_NEAR,
            far=_FAR,
            step_size=step_size * stride,
            interval=interval * stride,
            lower=run.scene.lower,
            upper=run.scene.upper,
            clip=(jnp.maximum(lower, self.box[0]), jnp.minimum(upper, self.box[1])),
            chunk_rays=(_NETWORK_RAYS if slow else CHUNK_RAYS) if on_cpu else CHUNK_RAYS_GPU,
            wanted=wanted,
            section=run.config.dream_fields.section,
        )

    def normals(self, positions: np.ndarray) -> np.ndarray:
        """Directions in which the density falls fastest; of the stand-in where there is one.

        Args:
          positions: [n, 3], world frame.

        Returns:
          [n, 3] unit vectors, zero where the density is even.
        """
        query, scene, step_size = self._quick
        chunk = 4096
        out = np.zeros((len(positions), 3), np.float32)
        for start in range(0, len(positions), chunk):
            part = positions[start : start + chunk]
            padded = np.resize(part, (chunk, 3)).astype(np.float32)
            found = _falling(query.query, scene, padded, jnp.float32(step_size), self.run.stage.interval)
            out[start : start + chunk] = np.asarray(found)[: len(part)]
        return out

    def warm(self) -> Exhibit:
        """Compiles every program that pictures need, looks how large the object is, and returns itself."""
        surface = []
        for azimuth in (0.0, 90.0, 180.0, 270.0):
            camera = Camera(np.asarray(orbit_pose(azimuth, 30.0, self.run.config.cameras.radius)), FOV, 1.0)
            rendering = self.draw(camera, 32, 32, quick=True)
            surface.append(surface_of(rendering, camera)[1.0 - np.asarray(rendering.transmittance) > 0.5])
        points = np.concatenate(surface)
        if len(points):
            lower, upper = np.percentile(points, [1, 99], axis=0)
            self.centre = (lower + upper) / 2.0
            self.radius = max(float(np.percentile(np.linalg.norm(points - self.centre, axis=-1), 99)), 1e-2)
        self.normals(self.centre[None])
        if self.has_network:
            self.draw(camera, 4, 4)
        return self

    def _cut_box(self, cut: Cut) -> tuple[Array, Array]:
        if cut.box is None:
            return jnp.full(3, -np.inf, jnp.float32), jnp.full(3, np.inf, jnp.float32)
        return jnp.asarray(cut.box[0], jnp.float32), jnp.asarray(cut.box[1], jnp.float32)


def surface_of(rendering: Rendering, camera: Camera) -> np.ndarray:
    """Where pixels lie in the world.

    Args:
      rendering: [height, width].
      camera: from which it was rendered.

    Returns:
      [height, width, 3], at the mean depth; not a number where a pixel is empty.
    """
    height, width = np.shape(rendering.transmittance)
    rays = pixel_rays(camera, width, height)
    return np.asarray(rays.origins) + mean_depth(rendering)[..., None] * np.asarray(rays.directions)


def _density(alpha: float, interval: float) -> float:
    """Density whose opacity over `interval` is `alpha`."""
    return -math.log1p(-min(max(alpha, 0.0), 1.0 - 1e-6)) / interval


@functools.partial(jax.jit, static_argnames=("query",))
def _falling(query: Query, scene: object, positions: Array, step: Array, interval: float) -> Array:
    """[n, 3]: central differences over `step` of the raw density, whose direction is that of the density."""
    offsets = jnp.concatenate([jnp.eye(3), -jnp.eye(3)]) * step
    points = (positions[None] + offsets[:, None]).reshape(-1, 3)
    intervals = jnp.full(points.shape[0], interval, jnp.float32)
    density = query(scene, Samples(points, intervals))[0].reshape(2, 3, -1)
    slope = density_to_raw(density[1]) - density_to_raw(density[0])
    length = jnp.linalg.norm(slope, axis=0, keepdims=True)
    return (slope / jnp.maximum(length, 1e-12)).T
