"""Text in, 3D object out: voxel radiance fields guided by CLIP alone."""

import os

__version__ = "0.1.0"

# Read when jax is first imported. XLA for the CPU logs a kilobyte of "error" for every program that it takes
# from the compilation cache, as two of its own tuning hints are no features of a processor (jaxlib 0.10);
# what really fails is raised in Python. Who sets the level sees all of it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
