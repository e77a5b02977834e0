"""What the augmentations do, in numbers."""

from __future__ import annotations

import dataclasses

from voxjax.augment.diffaugment import DiffAugRanges


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
    """What is done to a rendered view; static and hashable. The defaults are the paper's for Vox_Exp.

    Attributes:
      diff: DiffAug on or off.
      back: random backgrounds, or one even `background`.
      persp: random perspective (the paper: on for Vox_Exp, off for Vox_Imp).
      crop: random crop.
      n_diff: DiffAug draws per view; as many copies are made when `diff` is off.
      n_back: backgrounds of a view; as many copies are made when `back` is off.
      ranges: how far DiffAug goes.
      back_probabilities: of checkerboard, noise and smooth noise.
      blur_sd: range of the background blur's standard deviation, pixels.
      blur_reflect: mirrored borders in the blur; False for Dream Fields' zeros.
      blur_vertical_sd: standard deviation of that blur along columns, pixels; 0 for the one that is drawn.
      share_backgrounds: each background stands behind every DiffAug copy of its view; False gives every image
        one of its own.
      background_px: side at which the composite is made, after crop and resize; 0 for that of the render.
      under: what lies under the object while DiffAug sees it: "nothing", or "white": colour + T, to which the
        background is then added (released code: outside of the object images are bright, up to 2).
      composite: "premultiplied": colour + T * background; or "darkened": colour * (1 - T) + T * background,
        which darkens thin density twice (Dream Fields' released code).
      background: grey level in [0, 1] behind the object where `back` is off; 1 is white.
      distortion: of the perspective, in [0, 1).
      persp_probability: share of the images that get a perspective.
      crop_px: pixels that the crop takes off each side length.
      clip_to_unit: clip the composite to [0, 1]; both references do not.
      move_transmittance: DiffAug moves opacity with colour; False repeats the released code.
      shared_background_draws: blur strength and spectrum drawn once a step; True repeats the released code.
      shared_view_draws: perspective and crop drawn once a step; True repeats the released code.
    """

    diff: bool = True
    back: bool = True
    persp: bool = True
    crop: bool = True
    n_diff: int = 8
    n_back: int = 8
    ranges: DiffAugRanges = DiffAugRanges()
    back_probabilities: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    blur_sd: tuple[float, float] = (0.0, 10.0)
    blur_reflect: bool = True
    blur_vertical_sd: float = 0.0
    share_backgrounds: bool = True
    background_px: int = 0
    under: str = "nothing"
    composite: str = "premultiplied"
    background: float = 1.0
    distortion: float = 0.6
    persp_probability: float = 1.0
    crop_px: int = 16
    clip_to_unit: bool = False
    move_transmittance: bool = True
    shared_background_draws: bool = False
    shared_view_draws: bool = False
