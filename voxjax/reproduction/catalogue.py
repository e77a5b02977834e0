"""All items by name."""

from __future__ import annotations

from voxjax.reproduction import ablations, fields, growth, guides

ITEMS = {item.name: item for family in (fields, ablations, guides, growth) for item in family.ITEMS}
