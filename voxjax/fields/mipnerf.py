"""Dream Fields: a mip-NeRF that sees Gaussians, a residual network on waves of their positions.

Notation. n: samples, whatever their leading axes; x: position of a sample, world frame, scene units. The
field has a frame of its own, in which the same point is x + origin: the origin follows the object, so that
the cameras look at its middle. The box belongs to the field's frame. Channels of the network's output: red,
green, blue, raw density.

Sources: Dream Fields (arXiv 2112.01455), tracking; mip-NeRF, encoding. No view directions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax import struct
from jax import lax

from voxjax.fields import encoding, residual
from voxjax.fields.activation import raw_to_colour, raw_to_density
from voxjax.fields.residual import ResidualNetwork
from voxjax.structs import Samples

Array = jax.Array


@struct.dataclass
class MipScene:
    """What a query of the field reads.

    Attributes:
      params: parameters of `ResidualNetwork`, for the waves of `basis`.
      basis: [n_waves, 3], basis of the encoding, radians per scene unit; what is known to be equal in the
        field's own basis stands here once.
      origin: [3], added to world positions; scene units.
      scale: [], factor on the standard deviations of the samples' Gaussians.
      lower: [3], smallest corner of the field's box, world frame; it moves as the origin does.
      upper: [3], its largest corner.
    """

    params: Any
    basis: Array
    origin: Array
    scale: Array
    lower: Array
    upper: Array


@dataclasses.dataclass(frozen=True)
class Query:
    """The field's `query`: a function of scene and samples, equal to any other of the same attributes.

    Attributes:
      network: applied to the encoded samples.
      integrate: average the encoding over the Gaussians of samples that are Gaussians.
      chunk: most samples evaluated at once.
    """

    network: ResidualNetwork
    integrate: bool
    chunk: int

    def __call__(self, scene: MipScene, samples: Samples) -> tuple[Array, Array]:
        """Density and colour of samples.

        More samples than `chunk` are evaluated in chunks of equal size, one after the other, and again in the
        backward pass, so that memory holds the activations of one chunk only.

        Args:
          scene: from `MipNerf.bake`.
          samples: [...]; without `direction` they are points and get the plain encoding.

        Returns:
          (density [...], >= 0, 1 / scene unit; colour [..., 3] in (0, 1)).
        """
        leading = samples.positions.shape[:-1]
        inputs = [samples.positions + scene.origin]
        if self.integrate and samples.direction is not None:
            if samples.variance_along is None or samples.variance_across is None:
                raise ValueError("samples with a direction need variance_along and variance_across")
            inputs += [
                samples.direction,
                samples.variance_along[..., None],
                samples.variance_across[..., None],
            ]
        packed = jnp.concatenate(inputs, axis=-1)
        packed = packed.reshape(-1, packed.shape[-1])
        n = packed.shape[0]
        if n <= self.chunk:
            raw = self._evaluate(scene, packed)
        else:
            n_chunks = -(-n // self.chunk)
            size = -(-n // n_chunks)
            packed = jnp.pad(packed, ((0, n_chunks * size - n), (0, 0)))
            # Inside a loop XLA cannot merge the recomputation with the first pass: no barrier is needed.
            evaluate = jax.checkpoint(lambda chunk: self._evaluate(scene, chunk), prevent_cse=False)
            raw = lax.map(evaluate, packed.reshape(n_chunks, size, -1)).reshape(-1, 4)[:n]
        chex.assert_shape(raw, (n, 4))
        density, colour = raw_to_density(raw[:, 3], 0.0), raw_to_colour(raw[:, :3])
        return density.reshape(leading), colour.reshape(leading + (3,))

    def _evaluate(self, scene: MipScene, packed: Array) -> Array:
        """[n, 3] points, or [n, 8] Gaussians (mean, direction, two variances), to [n, 4] raw values."""
        if packed.shape[-1] == 3:
            features = encoding.plain_encoding(packed, scene.basis)
        else:
            features = encoding.integrated_encoding(
                packed[:, :3],
                scene.basis,
                direction=packed[:, 3:6],
                variance_along=packed[:, 6],
                variance_across=packed[:, 7],
                scale=scene.scale,
            )
        raw: Any = self.network.apply({"params": scene.params}, features)
        return raw


def track(
    tracked: Mapping[str, Any], centroid: Array, *, decay: float = 0.999, origin: str = "follow"
) -> dict[str, Any]:
    """Moves the origin of the field towards the object, and counts the steps.

    In the field's frame the object lies at shift + centroid, where `shift` is what the rays of training were
    moved by, and the origin becomes the moving average of that: decay * origin + (1 - decay) * (shift +
    centroid) (Dream Fields).

    Args:
      tracked: the "tracked" variables of a `MipNerf`.
      centroid: [3], density-weighted mean of the sample positions, world frame (no origin added).
      decay: share of the old origin, in [0, 1].
      origin: "follow": training moves with the origin (the paper). "pictures": only pictures do, the shift is
        zero (the released code, whose compiled step kept the value of its first call). "fixed": stays where
        it is.

    Returns:
      `tracked` with the new origin; with the old one if a coordinate of the centroid is not finite, as of an
      empty scene.
    """
    old = tracked["origin"]
    new = dict(tracked)
    if "steps" in tracked:
        new["steps"] = tracked["steps"] + 1
    if origin != "fixed":
        shift = old if origin == "follow" else jnp.zeros_like(old)
        moved = decay * old + (1.0 - decay) * (shift + centroid)
        new["origin"] = jnp.where(jnp.all(jnp.isfinite(centroid)), moved, old)
    return new


class MipNerf(nn.Module):
    """Dream Fields' field. What is not trained, origin and basis, are variables of the collection "tracked".

    Attributes:
      lower: smallest corner of the box, in the field's frame.
      upper: largest corner of the box.
      width: of the network between its blocks.
      hidden: width inside a block.
      n_blocks: residual blocks.
      n_features: random vectors of the bases "released" and "fourier".
      max_exponent: of their lengths, to base 2; the basis "axis" has that many octaves.
      encoding: "released" for the directions of the released code, "fourier" for isotropic ones drawn by the
        seed (text), or "axis" for mip-NeRF's axis-aligned one.
      integrate: average the encoding over the Gaussians (IPE); else it is taken at their means.
      widen_steps: steps in which the Gaussians shrink to their size, from twice the standard deviation
        (released code: 1000); 0 for their size from the start.
      moved: whether the tracked origin is applied.
      chunk: most samples evaluated at once.
      dtype: name of the type that the network computes in.
    """

    lower: tuple[float, float, float] = (-1.0, -1.0, -1.0)
    upper: tuple[float, float, float] = (1.0, 1.0, 1.0)
    width: int = 128
    hidden: int = 256
    n_blocks: int = 4
    n_features: int = 128
    max_exponent: float = 8.0
    encoding: str = "released"
    integrate: bool = True
    widen_steps: int = 0
    moved: bool = True
    chunk: int = 2**15
    dtype: str = "float32"

    track = staticmethod(track)

    @property
    def query(self) -> Query:
        """The pure function `(scene, samples) -> (density, colour)`, see `Query`."""
        return Query(self._network(), self.integrate, self.chunk)

    @nn.compact
    def bake(self) -> MipScene:
        """The scene that the renderer samples from: the parameters and variables as they are.

        Raises:
          ValueError: `encoding` is unknown.
        """
        tracked = self.variable("tracked", "origin", jnp.zeros, 3).value
        origin = tracked if self.moved else jnp.zeros_like(tracked)
        scale = jnp.ones(())
        if self.widen_steps > 0:
            steps = self.variable("tracked", "steps", jnp.zeros, (), jnp.int32).value
            scale = jnp.maximum(1.0, 2.0 ** (1.0 - steps / self.widen_steps))
        basis = self.variable("tracked", "basis", self._make_basis).value

        def start(key: Array) -> Any:
            return self._network().init(key, jnp.zeros((1, 2 * basis.shape[0])))["params"]

        params = self.param("network", start)
        if self.encoding == "released":
            # The other bases are drawn by the run's key, or have no two waves that are equal.
            kept, place = encoding.equal_waves(self.n_features, self.max_exponent)
            channels = np.concatenate([place, len(kept) + place])  # cosines, then sines
            basis, params = basis[kept], residual.merge_inputs(params, channels)
        return MipScene(
            params=params,
            basis=basis,
            origin=origin,
            scale=scale,
            lower=jnp.asarray(self.lower) - origin,
            upper=jnp.asarray(self.upper) - origin,
        )

    def _network(self) -> ResidualNetwork:
        return ResidualNetwork(self.width, self.hidden, self.n_blocks, self.dtype, parent=None)

    def _make_basis(self) -> Array:
        if self.encoding == "axis":
            return encoding.axis_basis(round(self.max_exponent))
        if self.encoding == "released":
            return encoding.released_basis(n_features=self.n_features, max_exponent=self.max_exponent)
        if self.encoding == "fourier":
            key = self.make_rng("params")
            return encoding.fourier_basis(key, n_features=self.n_features, max_exponent=self.max_exponent)
        raise ValueError(f"unknown encoding {self.encoding!r}: 'released', 'fourier' or 'axis'")
