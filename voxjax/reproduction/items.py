"""What an item is: configs with their overrides, prompts, seeds, judges, and what to draw of them.

An item has two plans. `paper` is the real thing on an accelerator. `demo` asks the same question of the small
CLIPs, with few prompts and few steps, on a CPU: its figures say nothing about the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Settings = tuple[tuple[str, str], ...]
"""Pairs of dotted key and value, as typed behind `--config.`."""

SCALES = ("demo", "paper")
# What can be drawn.
SIDE_BY_SIDE, GRADIENTS, COURSE = "side_by_side", "gradients", "course"

DEMO_PROMPTS = ("a red sphere", "a blue cube", "a green cone", "a yellow torus")
DEMO_JUDGES = ("pocket-eval", "pocket")
DEMO_SETTINGS: Settings = (
    ("steps", "100"),
    ("output.preview_every", "0"),
    ("output.turntable_frames", "2"),
    ("output.turntable_width_px", "64"),
    ("output.mesh", "False"),
    ("output.report", "False"),
)
PAPER_PROMPTS = ("matte painting of a bonsai tree; trending on artstation.", "a boat on the water.")
"""For figures whose prompts are not known here; tables take the captions of a file."""

PAPER_JUDGES = ("ViT-B/32", "ViT-B/16")


@dataclass(frozen=True)
class Variant:
    """One row of a table: one way to train.

    Attributes:
      name: for reading, and of its folder; the same name in two items of a scale is the same runs.
      config: config and variant.
      settings: what differs from it.
    """

    name: str
    config: str
    settings: Settings = ()


@dataclass(frozen=True)
class Plan:
    """An item at one scale.

    Attributes:
      variants: in the order of the table.
      prompts: that each of them makes; empty where a file of captions has to be given.
      judges: CLIPs that score the objects; none where only cost counts.
      seeds: number of seeds of each prompt, from 0.
      settings: that all variants get besides their own, which come later.
    """

    variants: tuple[Variant, ...]
    prompts: tuple[str, ...]
    judges: tuple[str, ...]
    seeds: int = 1
    settings: Settings = ()

    def settings_of(self, variant: Variant) -> Settings:
        """Returns what a variant is trained with, apart from prompt and seed."""
        return self.settings + variant.settings


@dataclass(frozen=True)
class Item:
    """A table or figure of Pure CLIP guidance (arXiv 2209.15172).

    Attributes:
      name: as typed.
      title: for reading.
      about: what it asks, in a sentence.
      plans: scale -> plan.
      draw: figures to draw.
      published: name of a variant -> the paper's own figure, where it is known.
    """

    name: str
    title: str
    about: str
    plans: Mapping[str, Plan]
    draw: tuple[str, ...] = (SIDE_BY_SIDE,)
    published: Mapping[str, str] = field(default_factory=dict)


def demo(variants: tuple[Variant, ...], n_prompts: int = 2, **options) -> Plan:
    """Returns a plan for two cores of a CPU; `options` are fields of `Plan`."""
    given = {"judges": DEMO_JUDGES, "settings": DEMO_SETTINGS, **options}
    return Plan(variants, DEMO_PROMPTS[:n_prompts], **given)


def paper(variants: tuple[Variant, ...], prompts: tuple[str, ...] = (), **options) -> Plan:
    """Returns the plan of the paper's size; `options` are fields of `Plan`."""
    return Plan(variants, prompts, **{"judges": PAPER_JUDGES, **options})
