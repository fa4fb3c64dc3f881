"""Which paths end up in a workload: one file per rule, pure over file lists and contents."""
