"""Augmentations between a rendered view and the images that a CLIP judges; `pipeline` states their order."""
