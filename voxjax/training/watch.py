"""Warnings in words about a scene that does not become an object."""

from __future__ import annotations

from collections.abc import Mapping

_ON_GRID = {
    "empty": "start anew with field.alpha_init ten times as high",
    "full": "lower field.alpha_init, loss.kl or optimiser.rate_density, or raise loss.transmittance",
}
# A network whose density is gone has no gradient left, and no prior that brings it back.
_WITHOUT_GRID = {
    "empty": "start anew with another seed or prompt, or a field with a grid, which the prior holds together",
    "full": "lower optimiser.rate_network or raise loss.transmittance",
}


class SceneWatch:
    """Notices a scene that stays empty or full, and samples that found no room.

    Args:
      patience: steps that the scene may stay so.
      on_grid: whether the field has a grid, and with it the keys that the advice names.
    """

    EMPTY, FULL = 0.99, 0.01

    def __init__(self, patience: int, *, on_grid: bool = True):
        self._patience, self._advice = patience, _ON_GRID if on_grid else _WITHOUT_GRID
        self._since: dict[str, int] = {}
        self._told: set[str] = set()

    def look(self, step: int, scalars: Mapping[str, float]) -> list[str]:
        """Returns the warnings that are new after this step, each said once until things get better."""
        mean = scalars["transmittance"]
        lost = scalars["overflow"] + scalars.get("vertices_overflow", 0.0)
        seen = {"empty": mean > self.EMPTY, "full": mean < self.FULL, "overflow": lost > 0}
        fresh = []
        for name, now in seen.items():
            if not now:
                self._since.pop(name, None)
                self._told.discard(name)
                continue
            first = self._since.setdefault(name, step)
            if name not in self._told and (name == "overflow" or step - first >= self._patience):
                self._told.add(name)
                fresh.append(self._words(name, step - first, mean, lost))
        return fresh

    def _words(self, name: str, steps: int, mean: float, lost: float) -> str:
        if name == "overflow":
            return (
                f"warning: {int(lost)} samples or vertices of a step found no room and were left out; "
                "pictures are right, training is slightly off. Lower field.side, or report this config"
            )
        return (
            f"warning: the scene has been {name} for {steps} steps (mean transmittance {mean:.3f}); "
            f"to change that, {self._advice[name]}"
        )
