"""The loss of a whole training step of Dream Fields' released code in float64, for one device."""

import numpy as np
from faithful.dream_fields_images import augment, clip_normalise
from faithful.dream_fields_network import ipe_scale
from faithful.dream_fields_render import render
from faithful.dream_fields_scene import FOCAL_MULT_TRAIN, RADIUS, camera_rays, pose_spherical
from faithful.dream_fields_update import opacity_target

CLIP_WIDTH, SAMPLES_TRAIN, TRANS_WEIGHT = 224, 192, 0.5


def transmittance_loss(opacity, target, weight=TRANS_WEIGHT):
    """-weight * min(1 - target, 1 - mean opacity); the mean runs over all pixels of
    the one full render, before crop and resize (and once a step, not per image)."""
    return -weight * np.minimum(1 - target, 1 - opacity.mean())


def clip_loss(z_image, z_text):
    """-mean over images of z_image . z_text, (B, D) and (D,), both of unit length."""
    return -(z_image * z_text).sum(-1).mean()


def linear_clip(images, matrix):
    """Stand-in for CLIP: normalised images (B, n, n, 3), flattened in C order, times
    matrix^T, matrix (D, n n 3), scaled to unit length -> (B, D)."""
    z = images.reshape(images.shape[0], -1) @ np.asarray(matrix).T
    return z / np.sqrt((z**2).sum(-1, keepdims=True))


def step_losses(
    params,
    step,
    theta,
    jitter,
    draws,
    z_text,
    matrix,
    basis,
    render_width,
    crop_width,
    clip_width=CLIP_WIDTH,
    samples=SAMPLES_TRAIN,
    origin=(0.0, 0.0, 0.0),
    phi=-30.0,
    radius=RADIUS,
    focal_mult=FOCAL_MULT_TRAIN,
):
    """Losses of one released training step on one device.

    theta azimuth in degrees; jitter (W, W, samples + 1) uniform in [0, 1); draws a
    list (one per image, 8 released) of dicts for `augment`; z_text (D,) unit;
    matrix of `linear_clip`; basis (131, 3).  Returns (losses, aux): losses has loss =
    clip_loss + transmittance, clip_loss, transmittance (weighted, signed), acc_mean,
    trans_mean_clipped, acc_reg_additive, origin_loss, beta_loss (weight 0); aux has
    images (B, n, n, 3), colour, opacity, centre."""
    rays = camera_rays(pose_spherical(theta, phi, radius), render_width, focal_mult)
    out = render(params, rays, basis, samples, jitter, origin, ipe_scale(step))
    images = np.stack([augment(out["colour"], out["opacity"], d, crop_width, clip_width) for d in draws])
    lc = clip_loss(linear_clip(clip_normalise(images), matrix), np.asarray(z_text))
    target = opacity_target(step, focal_mult, radius)
    lt = transmittance_loss(out["opacity"], target)
    acc = out["opacity"]
    losses = {
        "loss": lc + lt,
        "clip_loss": lc,
        "transmittance": lt,
        "acc_mean": acc.mean(),
        "trans_mean_clipped": np.minimum(1 - target, 1 - acc.mean()),
        "acc_reg_additive": -lt,
        "origin_loss": (out["centre"] ** 2).sum(),
        "beta_loss": (np.log(np.maximum(1e-6, acc)) + np.log(np.maximum(1e-6, 1 - acc))).mean(),
    }
    return losses, {"images": images, "colour": out["colour"], "opacity": acc, "centre": out["centre"]}
