"""Fields: what is optimised. The factory below is the only place that knows all of them by name.

A field is a linen module with `bake(occupancy) -> scene`, called through `init` and `apply`, and functions
`query(scene, samples) -> (density, colour)`, `occupied(scene, positions) -> bool` and
`occupied_box(scene) -> (lower, upper)`, which need no parameters and go to the renderer as arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxjax.fields.explicit import VoxExp

_FIELDS: dict[str, Any] = {
    "vox_exp": VoxExp,
}


def make_field(
    name: str,
    *,
    shape: Sequence[int],
    lower: Sequence[float],
    upper: Sequence[float],
    alpha_init: float = 1e-6,
    learn_shift: bool = True,
    **options: Any,
) -> Any:
    """Builds a field by name.

    Args:
      name: "vox_exp".
      shape: (nx, ny, nz), number of vertices.
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box, world frame.
      alpha_init: opacity of the untrained field over an interval of 1, in (0, 1).
      learn_shift: whether the density shift is a parameter.
      **options: what the named field takes beyond these.

    Returns:
      The linen module (hashable, so it can be a static argument).

    Raises:
      ValueError: no field has this name.
      TypeError: the field has no such option.
    """
    if name not in _FIELDS:
        raise ValueError(f"unknown field {name!r}; there is {', '.join(sorted(_FIELDS))}")
    nx, ny, nz = (int(n) for n in shape)
    return _FIELDS[name](
        shape=(nx, ny, nz),
        lower=tuple(float(v) for v in lower),
        upper=tuple(float(v) for v in upper),
        alpha_init=float(alpha_init),
        learn_shift=bool(learn_shift),
        **options,
    )
