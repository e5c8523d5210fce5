"""Stage 8, 评测: predictions on the held-out splits, and the report that says what was gained."""
