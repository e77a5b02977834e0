"""The small CLIP models that ship with the package: their world, their training and their scores."""
