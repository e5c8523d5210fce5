"""Stage 1, 原子数据: tables of coherent entities, one row a bundle that belongs together."""
