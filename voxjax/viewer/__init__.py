"""The live web viewer of runs (needs the extra voxjax[view])."""
