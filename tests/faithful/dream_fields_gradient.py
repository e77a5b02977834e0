"""The gradient of Dream Fields' training loss in float64, backwards through every stage by hand.

Each function takes the gradient of the loss to what its stage gives, and returns it to what the stage was
given. The forward values come from the modules that have the rules; parameters are dicts as in
`dream_fields_network.init_params`. Only the loss has a gradient here, not the terms of weight 0.
"""

import numpy as np
from faithful.dream_fields_images import CLIP_SD, background, clip_normalise, crop, resize, resize_matrix
from faithful.dream_fields_network import BLOCKS, LN_EPS, ipe_features, ipe_scale, sigmoid
from faithful.dream_fields_scene import (
    FOCAL_MULT_TRAIN,
    HALF_WIDTH,
    camera_rays,
    near_far,
    pose_spherical,
    section_edges,
    sections_to_gaussians,
)
from faithful.dream_fields_step import TRANS_WEIGHT
from faithful.dream_fields_update import opacity_target


def through_linear_clip(images, matrix, text):
    """Images (B, n, n, 3) before normalisation -> gradient of -mean cosine to them."""
    flat = clip_normalise(images).reshape(len(images), -1)
    z = flat @ matrix.T
    length = np.sqrt((z**2).sum(-1, keepdims=True))
    unit = z / length
    to_z = -(text - (unit @ text)[:, None] * unit) / length / len(images)
    return (to_z @ matrix).reshape(images.shape) / np.array(CLIP_SD)


def through_augment(to_image, colour, opacity, draws, crop_width, clip_width):
    """Gradient to one image (n, n, 3) -> to colour (W, W, 3) and opacity (W, W)."""
    ix, iy = draws["ix"], draws["iy"]
    c = resize(crop(colour, ix, iy, crop_width), clip_width)
    a = resize(crop(opacity[..., None], ix, iy, crop_width), clip_width)
    matrix = resize_matrix(crop_width, clip_width)
    to_colour, to_opacity = np.zeros_like(colour), np.zeros_like(opacity)
    window = (slice(iy, iy + crop_width), slice(ix, ix + crop_width))
    to_colour[window] = np.einsum("ai,bj,abc->ijc", matrix, matrix, to_image * a)
    behind = background(draws, clip_width)
    to_opacity[window] = np.einsum("ai,bj,ab->ij", matrix, matrix, (to_image * (c - behind)).sum(-1))
    return to_colour, to_opacity


def through_composite(to_colour, to_opacity, rgb, sigma, delta):
    """Gradients to pixels -> to rgb (..., n, 3) and sigma (..., n); delta is the length of the sections."""
    sd = sigma * delta
    passed = np.exp(-np.cumsum(sd, -1))  # what is left behind each section
    weight = -np.expm1(-sd) * passed * np.exp(sd)
    to_weight = (rgb * to_colour[..., None, :]).sum(-1)
    taken = to_weight * weight
    later = taken.sum(-1, keepdims=True) - np.cumsum(taken, -1)
    to_sd = to_weight * passed - later + (to_opacity * passed[..., -1])[..., None]
    return weight[..., None] * to_colour[..., None, :], to_sd * delta


def _swish_slope(x):
    s = sigmoid(x)
    return s + x * s * (1 - s)


def through_network(to_raw, params, features):
    """Raw outputs (N, 4) at features (N, 262), and the gradient to the parameters.

    `to_raw` makes of the raw outputs the gradient of the loss to them.
    """
    gradient = {}

    def dense(name, x):
        return x @ params[name + "/kernel"] + params[name + "/bias"]

    def dense_back(name, x, to_out):
        gradient[name + "/kernel"], gradient[name + "/bias"] = x.T @ to_out, to_out.sum(0)
        return to_out @ params[name + "/kernel"].T

    early = dense("early", features)
    x, kept = early * sigmoid(early), []
    for k in range(BLOCKS):
        b = f"block{k}"
        centred = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + LN_EPS)
        unit = centred / spread
        h = unit * params[b + "/norm/scale"] + params[b + "/norm/bias"]
        wide = dense(b + "/a", h)
        swished = wide * sigmoid(wide)
        kept.append((unit, spread, h, wide, swished))
        x = x + dense(b + "/b", swished)
    late = dense("late", x)
    last = late * sigmoid(late)
    raw = dense("out", last)

    to_x = dense_back("late", x, dense_back("out", last, to_raw(raw)) * _swish_slope(late))
    for k in reversed(range(BLOCKS)):
        b = f"block{k}"
        unit, spread, h, wide, swished = kept[k]
        to_h = dense_back(b + "/a", h, dense_back(b + "/b", swished, to_x) * _swish_slope(wide))
        gradient[b + "/norm/scale"], gradient[b + "/norm/bias"] = (to_h * unit).sum(0), to_h.sum(0)
        to_unit = to_h * params[b + "/norm/scale"]
        mean, along = to_unit.mean(-1, keepdims=True), (to_unit * unit).mean(-1, keepdims=True)
        to_x = to_x + (to_unit - mean - unit * along) / spread
    dense_back("early", features, to_x * _swish_slope(early))
    return raw, gradient


def loss_gradient(
    params,
    step,
    theta,
    jitter,
    draws,
    z_text,
    matrix,
    basis,
    images,
    colour,
    opacity,
    *,
    crop_width,
    samples,
    origin=(0.0, 0.0, 0.0),
):
    """Gradient of `dream_fields_step.step_losses(...)["loss"]`, a dict like `params`.

    Arguments as there, and of its second result images, colour and opacity.
    """
    width, clip_width = colour.shape[0], images.shape[1]
    to_images = through_linear_clip(images, np.asarray(matrix), np.asarray(z_text))
    pairs = [
        through_augment(g, colour, opacity, d, crop_width, clip_width)
        for g, d in zip(to_images, draws, strict=True)
    ]
    to_colour, to_opacity = sum(p[0] for p in pairs), sum(p[1] for p in pairs)
    if 1 - opacity.mean() < 1 - opacity_target(step):
        to_opacity = to_opacity + TRANS_WEIGHT / opacity.size

    o, d, r = camera_rays(pose_spherical(theta, -30.0, 4.0), width, FOCAL_MULT_TRAIN)
    o = o + np.asarray(origin)
    t = section_edges(*near_far(o, d), samples, jitter)
    mean, cov = sections_to_gaussians(o, d, r, t)
    inside = np.max(np.abs(mean), -1) <= HALF_WIDTH
    delta = np.diff(t, axis=-1) * np.sqrt((d**2).sum(-1))[..., None]
    features = ipe_features(mean, cov, basis, ipe_scale(step))

    def to_raw(raw):
        raw = raw.reshape(*inside.shape, 4)
        rgb, sigma = sigmoid(raw[..., :3]), np.logaddexp(raw[..., 3], 0.0) * inside
        to_rgb, to_sigma = through_composite(to_colour, to_opacity, rgb, sigma, delta)
        slope = (to_sigma * inside * sigmoid(raw[..., 3]))[..., None]
        return np.concatenate([to_rgb * rgb * (1 - rgb), slope], -1).reshape(-1, 4)

    return through_network(to_raw, params, features.reshape(-1, features.shape[-1]))[1]
