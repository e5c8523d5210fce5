"""Stage 3, 样本: templates times atoms, with the ground truth by construction."""
