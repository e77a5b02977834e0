"""The Vox_Exp step written plainly in PyTorch; `benchmarks.peer_torch` times it beside voxjax's."""
