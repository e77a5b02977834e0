"""Training of small CLIPs from scratch: what the worlds that they are trained on have in common."""
