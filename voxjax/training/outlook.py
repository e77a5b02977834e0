"""What is going to happen, in words, before the first step."""

from __future__ import annotations

from ml_collections import ConfigDict

from voxjax.factory import make_plan
from voxjax.guidance.ensemble import guide_specs
from voxjax.training.needs import Needs
from voxjax.training.preflight import Memory, in_all, size_words


def outlook(config: ConfigDict, needs: Needs, memory: Memory, *, together: int = 1) -> str:
    """The first line of a run: field, sizes, images, models, steps and memory; and how many objects."""
    plan, c = make_plan(config), config.cameras
    first, last = plan.stage_at(0).shape, plan.stage_at(config.steps - 1).shape
    grid = f"{config.dream_fields.n_samples} samples a ray"
    if plan.n_voxels:
        grid = _shape(last) + (f" vertices ({_shape(first)} at first)" if first != last else " vertices")
    n = c.views_per_step * config.augment.n_diff * config.augment.n_back
    views = f"{c.views_per_step} view{'s' if c.views_per_step > 1 else ''} of {c.width_px} px"
    models = " + ".join(spec.model for spec in guide_specs(config))
    batches = [f"{batch} at a time" for batch in needs.micro_batch if batch < n][:1]
    images = ", ".join([f"{n} images a step", *batches])
    many = f"{together} objects as one, each " if together > 1 else ""
    return (
        f"{many}{config.field.name}: {grid}, {views}, {images}, guided by {models}; {config.steps} steps; "
        f"expected memory {size_words(in_all(needs, memory))} of {size_words(memory.free)} free "
        f"({memory.device})"
    )


def what_slows(config: ConfigDict, start: int) -> str:
    """Why steps after step `start` will take longer than those at it; "" if nothing is known."""
    plan, steps = make_plan(config), config.steps
    growth = [step for step in plan.boundaries if start < step < steps and plan.rescales_before(step)]
    joining = [(spec.model, spec.start) for spec in guide_specs(config) if start < spec.start < steps]
    many = "s" if len(growth) > 1 else ""
    words = [f"the grid grows before step{many} {_series(growth)}"] if growth else []
    words += [f"{model} joins at step {step}" for model, step in joining]
    return f"later steps take longer: {', '.join(words)}" if words else ""


def _shape(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))


def _series(numbers: list[int]) -> str:
    *some, last = map(str, numbers)
    return f"{', '.join(some)} and {last}" if some else last
