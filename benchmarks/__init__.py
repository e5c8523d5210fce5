"""What is measured against what: one command a file, its result in `results/`. `README.md` says how to read them."""
