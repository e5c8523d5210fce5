"""The alignment starts at a trained adapter, and asks for nothing that this adapter settles."""

from cs_assets.alignment.assets import AlignedAdapterConfig
from cs_assets.learning.adapters import AdapterSettings
from cs_assets.learning.dpo import DpoSettings


def test_base_and_shape_of_the_adapter_cannot_be_set() -> None:
    assert not {"base_model", *AdapterSettings.model_fields} & set(AlignedAdapterConfig.model_fields)


def test_what_can_be_set_is_the_training_the_method_and_the_number_of_pairs() -> None:
    assert set(AlignedAdapterConfig.model_fields) == {*DpoSettings.model_fields, "method", "pairs"}
