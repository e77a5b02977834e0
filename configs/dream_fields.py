"""Dream Fields, the baseline: `dream_fields:lq`, `:mq`, `:hq`; each also `-released` and `-text`.

The default is the released code but for one thing: the scene's origin follows the object in training, as the
paper says; in the code it was frozen by accident. `:released` freezes it too, `:text` is the paper's
description.

Its ablations are keys: `dream_fields.encoding=axis`, `dream_fields.integrate=False`, `loss.transmittance=0`,
`dream_fields.origin=fixed`.
"""

from ml_collections import ConfigDict

from configs import base

WORDS = ("released", "text")
_SIZES = {"lq": (88, 80), "mq": (168, 154), "hq": (252, 224)}  # width of a render and of its crop, pixels
NAMES = tuple(_SIZES)


def get_config(variant: str = "lq") -> ConfigDict:
    """Returns the config of one size.

    Args:
      variant: "lq", "mq" or "hq", by the size of the renders; hq also trains twice as long. "released" or
        "text" alone, or behind one of these, as in "mq-text".

    Raises:
      ValueError: unknown variant.
    """
    size, word = base.read_variant(variant, NAMES, file="configs/dream_fields.py", words=WORDS)
    c = base.get_config()
    c.field.name = "dream_fields"
    c.field.box = "cube"
    c.field.half_width = 1.0
    c.steps = 20000 if size == "hq" else 10000
    width, crop = _SIZES[size]
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
    c.dream_fields.n_test_samples = 512 if size == "hq" else 256
    c.optimiser.rate_network = 1e-4
    c.optimiser.warmup = 1500 / c.steps
    c.optimiser.beta2 = 0.999  # (Adam's own default)
    c.optimiser.eps = 1e-5
    c.optimiser.tenfold_decay = 0.0
    as_released(c)
    {"": lambda c: None, "released": freeze, "text": as_described}[word](c)
    return c


def as_released(c: ConfigDict) -> None:
    """What the released code does and the paper does not say."""
    c.augment.background_at = "clip"  # (Dream Fields' code)
    c.augment.composite = "darkened"  # (Dream Fields' code)
    c.optimiser.eps_uncorrected = False  # (Dream Fields' code: Adam as published)
    c.dream_fields.widen = 1000 / c.steps  # (Dream Fields' code)


def freeze(c: ConfigDict) -> None:
    """The released code to the letter: training never saw the origin move, no schedule stretches."""
    c.schedule_steps = c.steps
    c.dream_fields.origin = "pictures"


def as_described(c: ConfigDict) -> None:
    """The paper's description instead of the code."""
    c.augment.background_at = "render"
    c.augment.composite = "premultiplied"
    c.optimiser.warmup_shape = "linear"
    c.dream_fields.encoding = "fourier"
    c.dream_fields.section = "mipnerf"
    c.dream_fields.widen = 0.0
    c.dream_fields.jitter_ends = False
