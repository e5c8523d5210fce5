"""Stage 5, 训练: splits that do not leak, and the adapter trained on them."""
