"""The models: all contact with TRL, PEFT and transformers. No Dagster; heavy imports stand inside functions."""
