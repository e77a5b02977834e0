"""Many runs at once on Ray: a plan as data, a record on disk, `voxjax train` as a process for each."""
