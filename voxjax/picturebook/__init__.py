"""The small CLIPs that know things: named pictures and 3D models of them, from packages, to train on."""
