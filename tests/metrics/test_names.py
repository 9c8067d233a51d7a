"""Names of the metrics of a layer."""

from actbench.metrics.names import layer_key, split_layer_key


def test_the_name_of_a_layers_metric_can_be_taken_apart() -> None:
    assert split_layer_key(layer_key(3, "dead_fraction")) == (3, "dead_fraction")
    assert split_layer_key(layer_key(123, "unit_mean")) == (123, "unit_mean")
    assert split_layer_key("dead_fraction") is None
