"""A small object in minutes on two CPU cores, guided by a CLIP that ships with the package.

One variant for each field: `demo:vox_exp` (default), `:vox_imp`, `:dream_fields`; each also `-released`, with
the keys on which text and released code differ turned to the code, and `:dream_fields-text`.
"""

from ml_collections import ConfigDict

from configs import base, dream_fields


def get_config(variant: str = "vox_exp") -> ConfigDict:
    """Returns the demo's config; all numbers below are ours, chosen for the pocket CLIP.

    Args:
      variant: the field, "vox_exp", "vox_imp" or "dream_fields" (with a smaller network and fewer samples
        than the original, for two CPU cores); "-released" or "-text" behind it.

    Raises:
      ValueError: unknown variant.
    """
    name, word = base.read_variant(
        variant, tuple(VARIANTS), file="configs/demo.py", words=("released", "text")
    )
    c = _vox_exp()
    VARIANTS[name](c)
    if name == "dream_fields":
        {"": lambda c: None, "released": dream_fields.freeze, "text": dream_fields.as_described}[word](c)
    elif word == "released":
        base.release(c)
    elif word:
        raise ValueError(f"unknown variant {variant!r} of configs/demo.py; the text is the default of {name}")
    return c


def _vox_exp() -> ConfigDict:
    c = base.get_config()
    c.prompt = "a red sphere"
    c.steps = 150
    c.field.side = 48
    c.field.box = "cube"
    c.field.half_width = 1.2
    c.field.alpha_init = 3e-3
    c.field.step_size_voxels = 1.0  # half of the samples: rendering is most of the time on two cores
    c.field.learn_shift = False
    c.cameras.width_px = 48
    c.cameras.views_per_step = 4
    c.cameras.elevation_deg = (10.0, 60.0)
    c.progressive.boundaries = ()
    c.augment.persp = False
    c.augment.n_diff = 2
    c.augment.n_back = 2
    c.augment.crop_px = 4
    # The pocket CLIP names colours strictly: milder changes than the paper's, or red becomes pink.
    c.augment.brightness = 0.15
    c.augment.saturation = (0.6, 1.4)
    c.augment.contrast = (0.75, 1.3)
    c.clip.model = "auto"  # pocket or picturebook, by the words
    c.loss.opacity_start = 0.5
    c.loss.opacity_end = 0.2
    c.loss.opacity_anneal = 0.3
    c.loss.kl = 0.2
    c.loss.kl_window = (0.0, 0.35)
    c.loss.tv = 0.3
    c.loss.tv_window = (0.0, 1.0)
    c.optimiser.rate_density = 0.2
    c.optimiser.rate_colour = 0.2
    c.optimiser.tenfold_decay = 1.43
    c.log.every = 10
    c.log.warn_after = 50
    c.checkpoint.every = 50
    c.output.preview_every = 50
    c.output.preview_width_px = 96
    c.output.eval_width_px = 256
    c.output.turntable_width_px = 192
    c.output.turntable_frames = 36
    return c


def _vox_imp(c: ConfigDict) -> None:
    c.field.name = "vox_imp"
    c.field.side = 40
    c.vox_imp.width = 64
    c.vox_imp.n_frequencies = 6  # finer waves than the grid can carry are noise
    c.loss.entropy = 0.03  # the networks are slow to clear the last haze
    c.optimiser.rate_network = 1e-2


def _dream_fields(c: ConfigDict) -> None:
    c.field.name = "dream_fields"
    c.field.half_width = 1.0
    c.dream_fields.width = 64  # the original: 128
    c.dream_fields.hidden = 96  # the original: 256
    c.dream_fields.n_blocks = 2  # the original: 4
    c.dream_fields.n_features = 48  # the original: 128
    c.dream_fields.max_exponent = 4.0  # the original: 8; what 32 samples can show
    c.dream_fields.n_samples = 32  # the original: 192
    c.dream_fields.n_test_samples = 64  # the original: 256
    dream_fields.as_released(c)
    c.dream_fields.widen = 0.1  # the original: 1000 of 10,000 steps
    c.dream_fields.origin_decay = 0.98  # a run of 150 steps instead of 10,000
    c.progressive.occupancy_every = 0.0
    c.cameras.views_per_step = 3
    c.cameras.width_px = 32
    c.augment.crop_px = 3
    c.loss.entropy = 0.0
    c.optimiser.rate_network = 4e-3
    c.optimiser.warmup = 0.1
    # Every sample of a picture asks the network.
    c.output.eval_width_px = 192
    c.output.turntable_width_px = 128
    c.output.turntable_frames = 24


VARIANTS = {"vox_exp": lambda c: None, "vox_imp": _vox_imp, "dream_fields": _dream_fields}
