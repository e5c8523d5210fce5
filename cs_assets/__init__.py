"""cs-assets: the digital twin (数字孪生) of a customer-service example, as Dagster assets."""
