"""Volume rendering: place samples on rays, weigh them, composite; whole images in chunks.

The package knows no field: what it renders comes in as a `query` function and the scene that it reads.
"""

from voxjax.rendering.budget import SampleBudget, budget_for
from voxjax.rendering.compositing import composite, weights
from voxjax.rendering.cones import place_in_cones
from voxjax.rendering.marching import march_image
from voxjax.rendering.sampling import Placement, intersect_box, place_in_box
from voxjax.rendering.volume import render_placed, render_rays

__all__ = [
    "Placement",
    "SampleBudget",
    "budget_for",
    "composite",
    "intersect_box",
    "march_image",
    "place_in_box",
    "place_in_cones",
    "render_placed",
    "render_rays",
    "weights",
]
