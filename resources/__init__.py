"""What touches the world: base models, LLM endpoints, MLflow, the store, GPUs. Imports nothing of `cs_assets`."""
