"""The alignment starts at a trained adapter, and asks for nothing that this adapter settles."""

from cs_assets.alignment.assets import AlignedAdapterConfig
from cs_assets.alignment.rewarding import RewardingSettings
from cs_assets.learning.adapters import AdapterSettings
from cs_assets.learning.reinforcement import ReinforcementSettings


def test_base_and_shape_of_the_adapter_cannot_be_set() -> None:
    shape = {"base_model", *AdapterSettings.model_fields} - {"method"}  # of the alignment, not of the adapter
    assert not shape & set(AlignedAdapterConfig.model_fields)


def test_what_can_be_set_is_the_training_the_rewards_the_method_and_the_number_of_pairs() -> None:
    training = {*ReinforcementSettings.model_fields, *RewardingSettings.model_fields}
    assert set(AlignedAdapterConfig.model_fields) == {*training, "method", "pairs"}


def test_it_is_off_by_default() -> None:
    assert AlignedAdapterConfig().method == "off"
