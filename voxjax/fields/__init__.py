"""Fields: what is optimised. The factory below is the only place that knows all of them by name.

A field is a linen module with a method `bake() -> scene`, called through `init` and `apply`. Its collection
"params" is what is optimised, its collection "tracked" what it keeps besides: the occupancy of a voxel field,
the scene origin of Dream Fields. `query(scene, samples) -> (density, colour)` needs no parameters and goes to
the renderer as an argument.

Voxel fields bake a `VoxelGrid` and also have `occupied(scene, positions) -> bool` and
`occupied_box(scene) -> (lower, upper)`. One whose values on the vertices are themselves the parameters says
`explicit = True` and calls them `grid`, [x, y, z, 4] (raw density, raw colour): these alone are rescaled,
left alone where no gradient is, and have the rates of grids. A parameter `density_shift` has a rate of its
own; all others have that of networks.

A field without a grid bakes a scene with `lower` and `upper`, keeps at least one tracked variable, and has
`track(tracked, centroid, **options) -> tracked`, which is told after each step where the density lies.
"""

from __future__ import annotations

from typing import Any

from voxjax.fields.explicit import VoxExp
from voxjax.fields.implicit import VoxImp
from voxjax.fields.mipnerf import MipNerf

FIELDS: dict[str, Any] = {
    "vox_exp": VoxExp,
    "vox_imp": VoxImp,
    "dream_fields": MipNerf,
}


def make_field(name: str, **options: Any) -> Any:
    """Builds a field by name.

    Args:
      name: "vox_exp", "vox_imp" or "dream_fields".
      **options: attributes of that field's class.

    Returns:
      The linen module (hashable, so it can be a static argument).

    Raises:
      ValueError: no field has this name.
      TypeError: the field has no such option.
    """
    if name not in FIELDS:
        raise ValueError(f"unknown field {name!r}; there is {', '.join(sorted(FIELDS))}")
    return FIELDS[name](**options)


def is_explicit(field: Any) -> bool:
    """Whether the values on a grid's vertices are the parameters, and not a function of them."""
    return getattr(field, "explicit", False)


def has_grid(field: Any) -> bool:
    """Whether a field, or its class, bakes a `VoxelGrid`."""
    return hasattr(field, "occupied_box")
