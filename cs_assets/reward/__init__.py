"""Stage 6, 奖励: pairs of a right and a wrong answer, and the model that tells them apart."""
