"""Float64 oracle of one whole released step: loss terms and gradients, with all draws given.

The augmentations are affine in the two pictures of a view, so the way back through them is a matrix, made by
sending the unit images through the oracle's own functions.
"""

import dataclasses

import numpy as np
from faithful import pure_clip_losses as losses
from faithful.pure_clip_diffaug import jitter, move, step_batch
from faithful.pure_clip_grid import implicit_grids
from faithful.pure_clip_networks import encode, mlp, mlp_backward
from faithful.pure_clip_render import RenderedView
from faithful.pure_clip_views import crop_resize, perspective


@dataclasses.dataclass(frozen=True)
class Draws:
    """All that is random in a step.

    Attributes:
      origin: [3], the camera.
      directions: [h, h, 3].
      diff: a dict of b, s, c, shift, cut for each DiffAug copy.
      ratio: of the change of size.
      backgrounds: [n, h, h, 3], blurred.
      crop: (top, left).
      corners: of the perspective; None for none.
    """

    origin: np.ndarray
    directions: np.ndarray
    diff: list
    ratio: float
    backgrounds: np.ndarray
    crop: tuple
    corners: list | None


@dataclasses.dataclass(frozen=True)
class Setting:
    """What stays: the box, sizes in pixels, the stand-in for CLIP, and how samples lie on a ray.

    Attributes:
      box: of the grid.
      crop_px: pixels that the crop takes off.
      clip_px: side of the images that the stand-in sees.
      matrix: [clip_px^2 * 3, e].
      text: [e].
      sampling: options of `RenderedView`.
      annealing: options of `opacity_target`.
    """

    box: tuple
    crop_px: int
    clip_px: int
    matrix: np.ndarray
    text: np.ndarray
    sampling: dict
    annealing: dict


def _look(image, draws, setting):
    """Perspective, crop and resize."""
    if draws.corners is not None:
        image = perspective(image, draws.corners, mask_twice=False, half_pixel=False)
    return crop_resize(image, *draws.crop, setting.clip_px, margin=setting.crop_px)


def _as_matrix(function, side):
    """[pixels out, pixels in] of a linear function of images."""
    units = np.eye(side * side).reshape(side, side, -1)
    return function(units).reshape(-1, side * side)


def _jitter_backward(g, draw):
    """Both colour changes are symmetric: the way back is the way forth, without the brightness."""
    g = (g - g.mean()) * draw["c"] + g.mean()
    m = g.mean(-1, keepdims=True)
    return (g - m) * draw["s"] + m


def clip_term(colour, trans, draws, setting):
    """(minus the mean cosine, gradients [h, h, 3] and [h, h]) of a view over nothing."""
    side, n_diff = trans.shape[0], len(draws.diff)
    batch = step_batch(colour, trans, draws.backgrounds, draws.diff, draws.ratio)
    images = losses.clip_normalise(np.stack([_look(image, draws, setting) for image in batch]))
    value = losses.clip_loss(images, setting.matrix, setting.text)
    g_images = losses.clip_loss_gradient(images, setting.matrix, setting.text) / losses.CLIP_SD
    look = _as_matrix(lambda x: _look(x, draws, setting), side)
    g_colour, g_trans = np.zeros(colour.shape), np.zeros(trans.shape)
    for copy, each in enumerate(draws.diff):
        draw = dict(each, ratio=draws.ratio)
        moved = _as_matrix(lambda x, draw=draw: move(x, draw), side)
        lit = jitter(colour + trans[..., None], draw).reshape(-1, 3)
        for k, behind in enumerate(draws.backgrounds):
            n = k * n_diff + copy
            whole = moved @ lit + (trans[..., None] * behind).reshape(-1, 3)
            forth = losses.clip_normalise((look @ whole).reshape(images[n].shape))
            np.testing.assert_allclose(forth, images[n], atol=1e-11)
            g_whole = look.T @ g_images[n].reshape(-1, 3)
            g_trans += (g_whole.reshape(behind.shape) * behind).sum(-1)
            g_base = _jitter_backward((moved.T @ g_whole).reshape(colour.shape), draw)
            g_colour += g_base
            g_trans += g_base.sum(-1)
    return value, g_colour, g_trans


def _of_pictures(view, draws, setting, step, weights):
    """(weighted terms, gradients of colour and transmittance)."""
    light = view.transmittance
    clip, g_colour, g_light = clip_term(view.colour, light, draws, setting)
    terms = {
        "clip": clip,
        "transmittance": losses.transmittance_loss(light, step, **setting.annealing),
        "entropy": losses.entropy_loss(light),
    }
    g_light = (
        weights["clip"] * g_light
        + weights["transmittance"] * losses.transmittance_gradient(light, step, **setting.annealing)
        + weights["entropy"] * losses.entropy_gradient(light)
    )
    return {name: weights[name] * value for name, value in terms.items()}, weights["clip"] * g_colour, g_light


def explicit_step(density, colour, mask, ratio, step_size, step, draws, setting):
    """(weighted terms, gradient of density, gradient of colour) of Vox_Exp in `step`, counted from 1."""
    weights = losses.active_terms(step, "explicit")
    n_rays = draws.directions.shape[0] ** 2
    view = RenderedView(
        density,
        colour,
        mask,
        setting.box,
        draws.origin,
        draws.directions,
        step_size,
        ratio,
        **setting.sampling,
    )
    terms, g_colour, g_light = _of_pictures(view, draws, setting, step, weights)
    gradients = list(view.backward(g_colour, g_light))
    prior = losses.sphere_prior(setting.box, density.shape)
    terms["kl"] = weights["kl"] * losses.kl_loss(density, prior, ratio)
    gradients[0] = gradients[0] + weights["kl"] * losses.kl_gradient(density, prior, ratio)
    terms["tv"] = 0.0
    if weights["tv"]:
        terms["tv"] = sum(losses.tv_explicit_value(v, weights["tv"], n_rays) for v in (density, colour))
        gradients = [
            losses.tv_explicit_gradient(v, g, weights["tv"], n_rays)
            for v, g in zip((density, colour), gradients, strict=True)
        ]
    return terms, *gradients


def implicit_step(networks, mask, positions, ratio, step_size, step, draws, setting):
    """(weighted terms, gradient of the density's layers, of the colour's) of Vox_Imp in `step`.

    Args:
      networks: (layers of the density, layers of the colour).
      mask: [X, Y, Z] bool.
      positions: [X, Y, Z, 3] of the vertices.
      ratio: current over final voxel size.
      step_size: world units.
      step: counted from 1.
      draws: see `Draws`.
      setting: see `Setting`.
    """
    weights = losses.active_terms(step, "implicit")
    encoded = encode(positions.reshape(-1, 3))
    raw, raw_colour = (mlp(layers, encoded).reshape(*mask.shape, -1) for layers in networks)
    raw = raw[..., 0]
    view = RenderedView(
        *implicit_grids(raw, raw_colour, mask),
        mask,
        setting.box,
        draws.origin,
        draws.directions,
        step_size,
        ratio,
        **setting.sampling,
    )
    terms, g_colour, g_light = _of_pictures(view, draws, setting, step, weights)
    g_raw, g_raw_colour = view.backward(g_colour, g_light)
    g_raw, g_raw_colour = g_raw * mask, g_raw_colour * mask[..., None]
    prior = losses.sphere_prior(setting.box, mask.shape)
    terms["kl"] = weights["kl"] * losses.kl_loss(raw, prior, ratio)
    g_raw = g_raw + weights["kl"] * losses.kl_gradient(raw, prior, ratio)
    terms["tv"] = losses.tv_implicit_loss(raw, raw_colour, weights["tv"])
    more, more_colour = losses.tv_implicit_gradient(raw, raw_colour, weights["tv"])
    return (
        terms,
        mlp_backward(networks[0], encoded, (g_raw + more).reshape(-1, 1)),
        mlp_backward(networks[1], encoded, (g_raw_colour + more_colour).reshape(-1, 3)),
    )
