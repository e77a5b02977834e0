"""Training: the terms of the loss, one step, the loop around it, and what it tells."""
