"""The domain: what a kind of scenario renders, verifies, corrupts and scores. No Dagster, no torch, no stage."""
