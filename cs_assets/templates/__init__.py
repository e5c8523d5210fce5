"""Stage 2, 句式变种: from the human-written sentences to every sentence that the twin may use."""
