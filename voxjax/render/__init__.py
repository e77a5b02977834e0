"""Volume rendering: place samples on rays, weigh them, composite; whole images in chunks.

The package knows no field: what it renders comes in as a `query` function and the scene that it reads.
"""

from voxjax.render.cones import place_in_cones
from voxjax.render.marching import march_image
from voxjax.render.sampling import Placement, SampleBudget, budget_for, intersect_box, place_in_box
from voxjax.render.volume import composite, render_placed, render_rays, weights

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
