"""Stage 4, 质量: labels, the judge (评估专家) and the filter."""
