"""Stage 9, 发布: the gate, and what goes out when it opens."""
