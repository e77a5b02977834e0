"""From a prompt to an object: what this machine can do, which config that means, and the runs."""
