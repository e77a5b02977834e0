"""Warnings in words about a scene that does not become an object."""

from __future__ import annotations

from collections.abc import Mapping


class SceneWatch:
    """Notices a scene that stays empty or full, and samples that found no room.

    Args:
      patience: steps that the scene may stay so.
    """

    EMPTY, FULL = 0.99, 0.01

    def __init__(self, patience: int):
        self._patience = patience
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

    @staticmethod
    def _words(name: str, steps: int, mean: float, lost: float) -> str:
        if name == "overflow":
            return (
                f"warning: {int(lost)} samples or vertices of a step found no room and were left out; "
                "pictures are right, training is slightly off. Lower field.side, or report this config"
            )
        advice = {
            "empty": "start anew with field.alpha_init ten times as high",
            "full": "lower field.alpha_init, loss.kl or optimiser.rate_density, or raise loss.transmittance",
        }[name]
        return (
            f"warning: the scene has been {name} for {steps} steps (mean transmittance {mean:.3f}); "
            f"to change that, {advice}"
        )
