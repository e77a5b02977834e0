"""Between the package's conventions and those of the oracle: parameters, poses, and the draws of a step.

The package has unit directions, distances in scene units, the axes last in the basis and azimuth 0 on +x; its
numbers come from keys split as its step splits them, which is repeated here so that the oracle sees the same.
"""

import dataclasses

import jax
import numpy as np
from faithful.dream_fields_network import BLOCKS
from faithful.dream_fields_scene import camera_rays, pose_spherical
from scipy.special import ndtri

from voxjax.augment import background

_ORDER = np.r_[3:131, 0:3]  # of the oracle's waves, as the package has them
_ROWS = np.concatenate([_ORDER, 131 + _ORDER])
_LAYERS = {"early": "first", "late": "last", "out": "raw"}
for _k in range(BLOCKS):
    _LAYERS |= {
        f"block{_k}/a": f"widen_{_k}",
        f"block{_k}/b": f"narrow_{_k}",
        f"block{_k}/norm": f"norm_{_k}",
    }
_KINDS = (1, 0, 2)  # the oracle's number of checkerboard, noise, smooth noise


def to_package(params):
    """The oracle's parameters, or gradients, as the package's tree of float32."""
    network = {}
    for name, value in params.items():
        layer, leaf = name.rsplit("/", 1)
        value = value[_ROWS] if name == "early/kernel" else value
        network.setdefault(_LAYERS[layer], {})[leaf] = np.asarray(value, np.float32)
    return {"network": network}


def to_oracle(tree):
    """The package's tree as the oracle's dict of float64."""
    params = {}
    for layer, ours in _LAYERS.items():
        for leaf, value in tree["network"][ours].items():
            value = np.asarray(value, np.float64)
            if (layer, leaf) == ("early", "kernel"):
                value = value[np.argsort(_ROWS)]
            params[f"{layer}/{leaf}"] = value
    return params


def basis_to_oracle(basis):
    """[131, 3], the axes last, to the axes first."""
    return np.asarray(basis, np.float64)[np.argsort(_ORDER)]


def theta(azimuth_deg):
    """The oracle's angle of a camera at our azimuth."""
    return -90.0 - float(azimuth_deg)


def rays(azimuth_deg, elevation_deg, width_px, focal_multiplier):
    """The oracle's rays of a camera of ours at distance 4."""
    return camera_rays(pose_spherical(theta(azimuth_deg), -elevation_deg, 4.0), width_px, focal_multiplier)


@dataclasses.dataclass(frozen=True)
class Draws:
    """What one step draws, as the oracle takes it: angle, jitter of the edges, and of each image its dict."""

    theta: float
    jitter: np.ndarray
    images: list


def view_draws(key, *, width_px, n_samples):
    """Angle and jitter [width, width, n_samples + 1] of a render of one view."""
    camera_key, sample_key = jax.random.split(key)
    azimuth_key, _ = jax.random.split(camera_key)
    azimuth = jax.random.uniform(azimuth_key, (1,), minval=0.0, maxval=360.0)[0]
    shape = (n_samples + 1, width_px**2)
    jitter = jax.random.uniform(sample_key, shape, minval=-0.5, maxval=0.5)
    jitter = np.asarray(jitter, np.float64).T.reshape(width_px, width_px, n_samples + 1) + 0.5
    return theta(azimuth), jitter


def image_draws(key, n, *, taken, size):
    """Of each of n images: offset of its crop by `taken` pixels, background at `size` and blur."""
    _, back_key, view_key = jax.random.split(key, 3)
    view = np.asarray(jax.random.uniform(view_key, (n * 11,)), np.float64).reshape(n, 11)
    needed = background.numbers_needed((size, size))
    numbers = np.asarray(background.uniform_16bit(back_key, (n, needed)), np.float64)
    return [_one_image(*each, taken=taken, size=size) for each in zip(view, numbers, strict=True)]


def _one_image(view, numbers, *, taken, size):
    # Ours reach the last offset, which the release leaves out: the integers are given, not the rule.
    row, column = np.floor(view[:2] * (taken + 1)).astype(int)
    texture, spectrum = numbers[8:], (2, 3, size, size // 2 + 1)
    return {
        "ix": column,
        "iy": row,
        "kind": _KINDS[int(np.searchsorted([1 / 3, 2 / 3], numbers[0], side="right"))],
        "blur": numbers[1],
        "colours": numbers[2:8].reshape(2, 3),
        "noise": texture[: 3 * size**2].reshape(size, size, 3),
        "normals": ndtri(texture[: np.prod(spectrum)]).reshape(spectrum),
    }


def step_draws(base_key, step, *, width_px, n_samples, n_images, taken, size):
    """All draws of one step on one device."""
    camera_key, augment_key = jax.random.split(jax.random.fold_in(base_key, step))
    angle, jitter = view_draws(camera_key, width_px=width_px, n_samples=n_samples)
    return Draws(angle, jitter, image_draws(augment_key, n_images, taken=taken, size=size))
