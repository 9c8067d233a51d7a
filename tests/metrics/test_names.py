"""Names of the metrics of a layer."""

from actbench.metrics.names import layer_key, split_layer_key


def test_split_layer_key_inverts_layer_key() -> None:
    assert split_layer_key(layer_key(3, "dead_fraction")) == (3, "dead_fraction")
    assert split_layer_key(layer_key(123, "unit_mean")) == (123, "unit_mean")
    assert split_layer_key("dead_fraction") is None
