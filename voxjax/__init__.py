"""Text in, 3D object out: voxel radiance fields guided by CLIP alone."""

__version__ = "0.1.0"
