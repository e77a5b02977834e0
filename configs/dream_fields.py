"""Dream Fields, the baseline: `configs/dream_fields.py:lq`, `:mq`, `:hq`. Numbers are that paper's.

Its ablations are keys: `dream_fields.encoding=axis`, `dream_fields.integrate=False`, `loss.transmittance=0`,
`dream_fields.track_origin=False`.
"""

from ml_collections import ConfigDict

from configs import base

_SIZES = {"lq": (88, 80), "mq": (168, 154), "hq": (252, 224)}  # width of a render and of its crop, pixels


def get_config(variant: str = "lq") -> ConfigDict:
    """Returns the config of one size.

    Args:
      variant: "lq", "mq" or "hq", by the size of the renders; hq also trains twice as long.

    Raises:
      ValueError: unknown variant.
    """
    if variant not in _SIZES:
        raise ValueError(f"unknown variant {variant!r} of configs/dream_fields.py; it has lq, mq, hq")
    c = base.get_config()
    c.field.name = "dream_fields"
    c.field.box = "cube"
    c.field.half_width = 1.0
    c.steps = 20000 if variant == "hq" else 10000
    width, crop = _SIZES[variant]
    c.cameras.width_px = width
    c.cameras.focal_multiplier = 1.2
    c.progressive.boundaries = ()
    c.progressive.occupancy_every = 0.0
    c.augment.diff = False
    c.augment.persp = False
    c.augment.n_diff = 1
    c.augment.n_back = 8
    c.augment.crop_px = width - crop
    c.augment.blur_reflect = False
    c.clip.model = "ViT-B/16"
    c.loss.entropy = 0.0
    c.loss.opacity_anneal = 500 / c.steps
    c.loss.opacity_scale = c.cameras.focal_multiplier**2 / (c.cameras.radius / 4) ** 2 / 1.2
    c.dream_fields.n_test_samples = 512 if variant == "hq" else 256
    c.optimiser.rate_network = 1e-4
    c.optimiser.warmup = 1500 / c.steps
    c.optimiser.beta2 = 0.999  # (Adam's own default)
    c.optimiser.eps = 1e-5
    c.optimiser.tenfold_decay = 0.0
    return c
