"""Text in, 3D object out: voxel radiance fields guided by CLIP alone."""

import os

__version__ = "0.1.0"

# Read when jaxlib is first loaded. XLA for the CPU logs a kilobyte of "error" for every program that it takes
# from the compilation cache, as two of its own tuning hints are no features of a processor (jaxlib 0.10);
# what really fails is raised in Python. 1 is what jax itself sets; who sets another level sees what it shows.
if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
