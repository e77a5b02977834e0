"""The step in PyTorch that benchmarks are held against does the same work as voxjax's: part by part, equal.

Random numbers are drawn by each side in its own way, so each part is given the same ones.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks.guides import LARGEST, outlined
from benchmarks.peer import augment, background
from benchmarks.peer.clip import Clip
from parity.peer_scene import SIZES, compare_scene, largest
from voxjax.augment import background as our_background
from voxjax.augment import diffaugment, perspective
from voxjax.augment.diffaugment import DiffAugDraw, DiffAugRanges
from voxjax.config.loading import load
from voxjax.guidance.ensemble import guide_specs


def _last(tensor):
    """[c, h, w] as [h, w, c]."""
    return tensor.permute(1, 2, 0)


def _geometry(size=40):
    """Colour, shift and cut, perspective, each under the same numbers."""
    rng = np.random.default_rng(2)
    image = rng.random((size, size, 4)).astype(np.float32)
    picture = torch.tensor(image).permute(2, 0, 1)
    colours = [jnp.float32(value) for value in (0.2, 1.4, 0.8)]
    draw = DiffAugDraw(*colours, jnp.array([3, -2]), jnp.float32(1), jnp.array([2, 30]))
    moved = augment.cut(augment.shift(picture, 3, -2), 2, 30, diffaugment.share_px(0.25, size))
    corners = perspective.corners_from_uniform(jnp.asarray(rng.random((4, 2)), jnp.float32), (size, size))
    back = perspective.homography(corners, perspective.image_corners((size, size)))
    warped = perspective.warp(jnp.asarray(image), back, size=(size - 6, size - 6), offset=(4, 1))
    their_warp = augment.warp(picture, torch.tensor(np.array(corners)), row=4, column=1, side_px=size - 6)
    jittered = augment.jitter(picture[:3], 0.2, 1.4, 0.8)
    return {
        "jitter": largest(_last(jittered), diffaugment.jitter_colour(draw, image[..., :3])),
        "move": largest(_last(moved), diffaugment.move(draw, jnp.asarray(image), ranges=DiffAugRanges())),
        "warp": largest(_last(their_warp), warped),
    }


def _backgrounds(size=40):
    """The kinds of background and the blur, each under the same numbers."""
    rng = np.random.default_rng(3)
    image = rng.random((size, size, 3)).astype(np.float32)
    normals = rng.standard_normal((2, 3, size, size // 2 + 1)).astype(np.float32)
    colours = rng.random((2, 3)).astype(np.float32)
    picture = torch.tensor(image).permute(2, 0, 1)
    blurred = {sd: our_background.gaussian_blur(image, jnp.float32(sd)) for sd in (0.0, 1.3, 9.0)}
    board = background.checkerboard(torch.tensor(colours), size)
    smooth = background.smooth_noise(torch.tensor(normals), size)
    return {
        "blur": max(largest(_last(background.blur(picture, sd)), blurred[sd]) for sd in blurred),
        "checkerboard": largest(_last(board), our_background.checkerboard(colours, (size, size))),
        "smooth_noise": largest(
            _last(smooth), our_background.smooth_noise(jnp.asarray(normals), (size, size))
        ),
    }


def _clip_sizes():
    """Parameters of the vision towers: by how many the two sides differ."""
    different = {}
    for model in ("pocket", "picturebook", "ViT-B/32", "ViT-B-16-plus-240:laion400m"):
        config = load("vox_exp:low", [*LARGEST, ("clip.model", model)])
        leaves = jax.tree.leaves(outlined(config, "float32")[0].params)
        tower = Clip(guide_specs(config)[0], "cpu", torch.float32).tower
        ours, theirs = sum(math.prod(x.shape) for x in leaves), sum(p.numel() for p in tower.parameters())
        different[f"CLIP {model}"] = abs(ours - theirs)
    return different


def compare():
    """Figures of all parts.

    Returns:
      name -> value. Differences are absolute and the largest, those of gradients and updates relative in
      norm, those of CLIPs numbers of parameters. Besides, of each config: `opaque_share` of its pixels, as a
      render of nothing would prove nothing; `whole_step`, the loss of one step of the peer.
    """
    figures = {}
    for name in SIZES:
        found, peer, config = compare_scene(name)
        figures |= {f"{name} {key}": value for key, value in found.items()}
        figures[f"{name} whole_step"] = peer.step()
        colour, light = peer.render(peer.draw_poses())
        a, side = config.augment, config.cameras.width_px - config.augment.crop_px
        images = augment.augment(colour, light, a, np.random.default_rng(0))
        assert images.shape == (len(colour) * a.n_diff * a.n_back, 3, side, side), images.shape
    return {**figures, **_geometry(), **_backgrounds(), **_clip_sizes()}


def failures(figures, limit=1e-3):
    """What says that the two do different things, in words."""

    def good(name, value):
        if name.endswith("opaque_share"):
            return 0.05 < value < 0.95
        return math.isfinite(value) if name.endswith("whole_step") else value <= limit

    return [f"peer: {name} {value:.2g}" for name, value in figures.items() if not good(name, value)]
