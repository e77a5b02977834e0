"""What each config value may be, beyond its type; every refusal names the key, the value and the fix."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from voxjax.errors import UserError

Rule = tuple[Callable[[Any], bool], str]


def _one_of(*names: str) -> Rule:
    return (lambda v: v in names), "one of " + ", ".join(names)


def _pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, float) for v in value)


POSITIVE: Rule = (lambda v: v > 0 and math.isfinite(v)), "above 0"
NOT_NEGATIVE: Rule = (lambda v: v >= 0 and math.isfinite(v)), "0 or more"
AT_LEAST_ONE: Rule = (lambda v: v >= 1), "at least 1"
SHARE: Rule = (lambda v: 0 <= v <= 1), "between 0 and 1"
INSIDE_SHARE: Rule = (lambda v: 0 < v < 1), "above 0 and below 1"
WIDTH: Rule = (lambda v: 8 <= v <= 8192), "between 8 and 8192 pixels"
ANY_NUMBER: Rule = (math.isfinite, "a number")
ANY: Rule = (lambda v: True), "anything"
TEXT: Rule = (lambda v: bool(v.strip())), "a text, such as 'a red sphere'"
TEXTS: Rule = (
    (lambda v: all(isinstance(t, str) and t.strip() for t in v)),
    "a tuple of texts such as ('a cat',)",
)
SPAN: Rule = (
    (lambda v: _pair(v) and v[0] <= v[1] and all(map(math.isfinite, v))),
    "two numbers, the smaller first",
)
WINDOW: Rule = (lambda v: _pair(v) and 0 <= v[0] <= v[1]), "two fractions of steps, the earlier first"
ELEVATION: Rule = (
    (lambda v: _pair(v) and -89.9 <= v[0] <= v[1] <= 89.9),
    "two numbers of degrees between -89.9 and 89.9, the smaller first",
)
RISING: Rule = (
    (lambda v: all(isinstance(x, float) and 0 < x < 1 for x in v) and list(v) == sorted(set(v))),
    "rising fractions of steps between 0 and 1, such as (0.3, 0.6)",
)
DTYPE = _one_of("auto", "float32", "bfloat16")

RULES: dict[str, Rule] = {
    "prompt": TEXT,
    "seed": ((lambda v: 0 <= v < 2**32), "between 0 and 2^32 - 1"),
    "steps": AT_LEAST_ONE,
    "schedule_steps": NOT_NEGATIVE,
    "devices": NOT_NEGATIVE,
    "parallel": _one_of("split", "views"),
    "cache_dir": ANY,
    "field.name": ANY,  # the factory knows the names
    "field.side": ((lambda v: 4 <= v <= 1024), "between 4 and 1024"),
    "field.alpha_init": INSIDE_SHARE,
    "field.learn_shift": ANY,
    "field.box": _one_of("frustum", "cube"),
    "field.half_width": POSITIVE,
    "field.step_size_voxels": ((lambda v: 0.05 <= v <= 4), "between 0.05 and 4"),
    "vox_imp.width": AT_LEAST_ONE,
    "vox_imp.n_layers": AT_LEAST_ONE,
    "vox_imp.n_frequencies": ((lambda v: 0 <= v <= 16), "between 0 and 16"),
    "vox_imp.slab": AT_LEAST_ONE,
    "dream_fields.width": AT_LEAST_ONE,
    "dream_fields.hidden": AT_LEAST_ONE,
    "dream_fields.n_features": AT_LEAST_ONE,
    "dream_fields.max_exponent": ((lambda v: 1 <= v <= 12), "between 1 and 12"),
    "dream_fields.encoding": _one_of("released", "fourier", "axis"),
    "dream_fields.section": _one_of("released", "mipnerf"),
    "dream_fields.widen": SHARE,
    "dream_fields.origin": _one_of("follow", "pictures", "fixed"),
    "dream_fields.n_samples": ((lambda v: 2 <= v <= 4096), "between 2 and 4096"),
    "dream_fields.n_test_samples": ((lambda v: 2 <= v <= 4096), "between 2 and 4096"),
    "dream_fields.origin_decay": SHARE,
    "dream_fields.chunk": AT_LEAST_ONE,
    "cameras.width_px": WIDTH,
    "cameras.views_per_step": AT_LEAST_ONE,
    "cameras.azimuth_deg": SPAN,
    "cameras.elevation_deg": ELEVATION,
    "cameras.radius": ((lambda v: 1.8 <= v <= 100), "between 1.8 (near is radius - sqrt(3)) and 100"),
    "cameras.focal_multiplier": POSITIVE,
    "progressive.boundaries": RISING,
    "progressive.density_drop": NOT_NEGATIVE,
    "progressive.occupancy_every": NOT_NEGATIVE,
    "progressive.occupancy_offset": NOT_NEGATIVE,
    "progressive.occupancy_threshold": SHARE,
    "augment.n_diff": AT_LEAST_ONE,
    "augment.n_back": AT_LEAST_ONE,
    "augment.crop_px": NOT_NEGATIVE,
    "augment.background": SHARE,
    "augment.background_at": _one_of("render", "clip"),
    "augment.under": _one_of("nothing", "white"),
    "augment.composite": _one_of("premultiplied", "darkened"),
    "augment.saturation": SPAN,
    "augment.contrast": SPAN,
    "augment.translation": ((lambda v: 0 <= v < 1), "at least 0 and below 1"),
    "augment.cutout": SHARE,
    "augment.zoom": ((lambda v: _pair(v) and 0.1 <= v[0] <= v[1] <= 10), "two factors between 0.1 and 10"),
    "augment.back_probabilities": (
        (lambda v: len(v) == 3 and min(v) >= 0 and abs(sum(v) - 1) < 1e-6),
        "three shares that add up to 1: checkerboard, noise, smooth noise",
    ),
    "augment.blur_sd": ((lambda v: _pair(v) and 0 <= v[0] <= v[1]), "two pixel counts, the smaller first"),
    "augment.distortion": ((lambda v: 0 <= v < 1), "at least 0 and below 1"),
    "augment.persp_probability": SHARE,
    "clip.model": TEXT,
    "clip.path": ANY,
    "clip.start": SHARE,
    "clip.end": SHARE,
    "clip.more": TEXTS,
    "clip.micro_batch": NOT_NEGATIVE,
    "cameras.ray_parts": NOT_NEGATIVE,
    "clip2.model": ANY,
    "clip2.path": ANY,
    "clip2.start": SHARE,
    "clip2.end": SHARE,
    "prompts.weight": ANY_NUMBER,
    "prompts.extra": TEXTS,
    "prompts.templates": (
        (lambda v: all(isinstance(t, str) and t.count("{}") == 1 for t in v)),
        "texts with one {} each, such as ('a photo of {}',)",
    ),
    "prompts.image": ANY,
    "prompts.image_weight": ANY_NUMBER,
    "clip.dtype": DTYPE,
    "clip.objective": _one_of("cosine", "contrastive"),
    "clip.negatives": TEXTS,
    "clip.scale": POSITIVE,
    "loss.opacity_start": INSIDE_SHARE,
    "loss.opacity_end": INSIDE_SHARE,
    "loss.opacity_anneal": NOT_NEGATIVE,
    "loss.opacity_scale": POSITIVE,
    "loss.kl_window": WINDOW,
    "loss.kl_radius": POSITIVE,
    "loss.tv_window": WINDOW,
    "optimiser.beta1": ((lambda v: 0 <= v < 1), "at least 0 and below 1"),
    "optimiser.beta2": ((lambda v: 0 <= v < 1), "at least 0 and below 1"),
    "optimiser.eps": POSITIVE,
    "optimiser.warmup": SHARE,
    "optimiser.warmup_start": SHARE,
    "optimiser.warmup_shape": _one_of("exponential", "linear"),
    "optimiser.max_bad_steps": AT_LEAST_ONE,
    "log.every": AT_LEAST_ONE,
    "log.warn_after": AT_LEAST_ONE,
    "checkpoint.every": AT_LEAST_ONE,
    "checkpoint.keep": AT_LEAST_ONE,
    "output.preview_every": NOT_NEGATIVE,
    "output.preview_width_px": WIDTH,
    "output.eval_width_px": WIDTH,
    "output.turntable_width_px": WIDTH,
    "output.turntable_frames": AT_LEAST_ONE,
    "output.turntable_fps": AT_LEAST_ONE,
}

# Keys without a rule of their own: any bool, and numbers that only have to be finite and not negative.
_REST = NOT_NEGATIVE


def check(config: ConfigDict) -> None:
    """Checks every value of a loaded config.

    Raises:
      UserError: the first value that is out of range, or the first pair that does not fit together.
    """
    for group, value in config.items():
        inner = value.items() if isinstance(value, ConfigDict) else [(None, value)]
        for name, leaf in inner:
            key = f"{group}.{name}" if name else group
            holds, words = RULES.get(key, ANY if isinstance(leaf, (bool, str, tuple)) else _REST)
            if not holds(leaf):
                raise UserError(f"--config.{key}={leaf!r}: must be {words}")
    _check_pairs(config)


def _check_pairs(config: ConfigDict) -> None:
    crop, width = config.augment.crop_px, config.cameras.width_px
    if config.augment.crop and crop > width // 2:
        raise UserError(
            f"--config.augment.crop_px={crop}: must be at most half of cameras.width_px, {width // 2}"
        )
    if config.clip.objective == "contrastive" and not config.clip.negatives:
        raise UserError(
            "--config.clip.negatives=(): the contrastive objective needs captions; give a tuple of texts, "
            "or set --config.clip.objective=cosine"
        )
    if config.clip.objective == "contrastive" and (
        config.prompts.extra or config.prompts.image or config.prompts.view_dependent
    ):
        raise UserError(
            "--config.clip.objective=contrastive: takes `prompt` alone; leave out prompts.extra, image and "
            "view_dependent, or set --config.clip.objective=cosine"
        )
    if config.clip.objective == "contrastive" and config.prompts.weight != 1:
        # The softmax takes cosines, and the target has the length of the weight.
        raise UserError(
            f"--config.prompts.weight={config.prompts.weight}: must be 1 for the contrastive objective; "
            "change --config.clip.weight or clip.scale instead, or set --config.clip.objective=cosine"
        )
    second = config.clip2
    if second.path and not second.model:
        raise UserError(
            f"--config.clip2.path={second.path}: without clip2.model there is no second CLIP; set "
            "--config.clip2.model to a name for it"
        )
    if second.model and second.start > second.end:
        raise UserError(f"--config.clip2.start={second.start}: must be at most clip2.end, {second.end}")
    images = config.cameras.views_per_step * config.augment.n_diff * config.augment.n_back
    batch = config.clip.micro_batch
    if batch and images % batch:
        divisors = ", ".join(str(n) for n in range(1, images + 1) if images % n == 0)
        raise UserError(
            f"--config.clip.micro_batch={batch}: must divide the {images} images of a step (views_per_step x "
            f"n_diff x n_back) evenly: one of {divisors}, or 0 to choose by memory"
        )
    if config.log.field_gradients and config.field.name != "vox_exp":
        raise UserError(
            f"--config.log.field_gradients=True: the parameters of {config.field.name} are not on vertices; "
            "set it to False, or field.name=vox_exp"
        )
    coarsest = config.field.side / 2 ** (len(config.progressive.boundaries) / 3)
    if coarsest < 4:
        raise UserError(
            f"--config.progressive.boundaries={config.progressive.boundaries}: the grid would start with "
            f"fewer than 4^3 voxels; use fewer boundaries or raise field.side ({config.field.side})"
        )
