"""Stage 7, 对齐: the adapter moved on by preferences. Optional."""
