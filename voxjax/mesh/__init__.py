"""From a field to a surface that other programs open: extraction, clean-up, texture, likeness, formats."""
