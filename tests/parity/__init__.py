"""Every CLIP at full size against independent PyTorch implementations; `make parity` runs it."""
