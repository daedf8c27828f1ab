"""Strings, configs and automatic names: one Registry for all kinds."""

import functools
import json
import threading

import pytest

from minigrad import activations, registry
from minigrad.configurable import Configurable
from minigrad.names import auto_name, reset_names, snake_case
from minigrad.registry import Registry, custom_object_scope, register_keras_serializable, remembering
from minigrad.spelling import rejected_keywords


@pytest.mark.parametrize("name, snake", [
    ("Dense", "dense"),
    ("BatchNormalization", "batch_normalization"),
    ("ReLU", "re_lu"),
    ("LeakyReLU", "leaky_re_lu"),
    ("AUC", "auc"),
    ("RMSprop", "rm_sprop"),
    ("KLDivergence", "kl_divergence"),
    ("L1L2", "l1l2"),
    ("Conv2D", "conv2d"),
    ("R2Score", "r2_score"),
    ("MyLayer2", "my_layer2"),
    ("already_snake", "already_snake"),
    ("Two Words!", "two_words"),
])  # fmt: skip
def test_snake_case(name, snake):
    assert snake_case(name) == snake


def test_automatic_names_count_up_per_prefix():
    reset_names()
    assert [auto_name("dense"), auto_name("dense"), auto_name("dropout"), auto_name("dense")] == [
        "dense",
        "dense_1",
        "dropout",
        "dense_2",
    ]
    reset_names()
    assert auto_name("dense") == "dense"


def test_no_automatic_name_is_given_twice(in_threads):
    reset_names()
    names = in_threads(lambda i: [auto_name("layer") for _ in range(500)], 4)
    assert len({name for some in names for name in some}) == 2000


class Thing(Configurable):
    def __init__(self, size=1):
        self.size = size

    def get_config(self):
        return {"size": self.size}


def double(x):
    return 2 * x


@pytest.fixture
def things():
    kind = Registry("thing", "keras.things")
    kind.register("stuff", "STUFF")(Thing)
    kind.register()(double)
    return kind


def test_get(things):
    assert things.get(None) is None
    for name in ("Thing", "thing", "stuff", "STUFF"):
        assert type(things.get(name)) is Thing
    assert things.get("double") is things.get(double) is double
    thing = Thing(3)
    assert things.get(thing) is thing
    assert type(things.get(Thing)) is Thing
    assert things.get({"class_name": "Thing", "config": {"size": 5}}).size == 5


def test_a_registry_of_functions_makes_no_instances():
    kind = Registry("maker", "keras.makers", instantiate=False)
    kind.register()(Thing)
    assert kind.get("thing") is kind.get(Thing) is Thing


def test_case_matters_unless_a_registry_says_that_it_does_not():
    kind = Registry("optimizer", "keras.optimizers", ignore_case=True)
    kind.register()(Thing)
    assert {type(kind.get(name)) for name in ("THING", "tHiNg", "thing")} == {Thing}
    with pytest.raises(ValueError, match="Unknown activation: 'RELU'"):
        activations.get("RELU")


@pytest.mark.parametrize("identifier, message", [
    ("thingy", r"Unknown thing: 'thingy'. Did you mean 'thing'\? Known: double, stuff, thing"),
    ("xyz", r"Unknown thing: 'xyz'\. Known: double"),
    ("", "Unknown thing: ''"),
    (3, "Could not interpret 3 as a thing: it must be a string, or a callable"),
    ([1], r"Could not interpret \[1\] as a thing"),
    ({}, "Expected the config of a thing, a dict with 'class_name'; got {}"),
    ({"class_name": "Nothing"}, "Unknown thing: 'Nothing'"),
])  # fmt: skip
def test_what_is_not_known_is_refused_with_a_hint(things, identifier, message):
    with pytest.raises(ValueError, match=message):
        things.get(identifier)


def test_configs_round_trip_as_json(things):
    config = things.serialize(Thing(7))
    assert config == {
        "module": "keras.things",
        "class_name": "Thing",
        "config": {"size": 7},
        "registered_name": None,
    }
    assert things.deserialize(json.loads(json.dumps(config))).size == 7
    assert things.serialize(double) == "double" and things.deserialize("double") is double
    assert things.serialize(None) is None and things.serialize("stuff") == "stuff"
    with pytest.raises(TypeError, match="unexpected keyword"):
        things.deserialize({"class_name": "Thing", "config": {"sise": 7}})


def test_a_config_without_arguments_takes_the_defaults(things):
    assert things.deserialize({"class_name": "Thing"}).size == 1
    assert things.deserialize({"class_name": "Thing", "config": None}).size == 1
    assert things.deserialize({"class_name": "double", "config": "double"}) is double


def test_custom_objects_have_a_scope(things):
    class Thing2(Thing):
        pass

    with pytest.raises(ValueError):
        things.get("Thing2")
    with custom_object_scope({"Thing2": Thing2, "double": abs}):
        assert type(things.get("Thing2")) is Thing2 and things.get("double") is abs
        with custom_object_scope({"double": len}):
            assert things.get("double") is len
        assert things.get("double") is abs
        assert type(things.get({"class_name": "Thing2", "config": {"size": 2}})) is Thing2
        other = []
        thread = threading.Thread(target=lambda: other.append(registry.custom_object("Thing2")))
        thread.start()
        thread.join()
        assert other == [None], "a scope holds in its own thread"
    assert things.get("double") is double
    with pytest.raises(ZeroDivisionError), custom_object_scope({"Thing2": Thing2}):
        raise ZeroDivisionError
    with pytest.raises(ValueError):
        things.get("Thing2")


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_custom", {})

    @register_keras_serializable("shop")
    class Basket(Thing):
        pass

    @register_keras_serializable()
    class Bag(Thing):
        pass

    return Basket, Bag


def test_registered_classes_are_found_under_their_package(things, registered):
    Basket, Bag = registered
    config = things.serialize(Basket(4))
    assert config["registered_name"] == "shop>Basket" and config["module"] is None
    basket = things.deserialize(json.loads(json.dumps(config)))
    assert type(basket) is Basket and basket.size == 4
    assert type(things.get("shop>Basket")) is Basket and type(things.get("Bag")) is Bag
    with pytest.raises(ValueError, match="Unknown thing: 'Basket'"):
        things.get("Basket")


def test_a_subclass_is_not_taken_for_its_registered_parent(things, registered):
    Basket, _ = registered

    class Special(Basket):
        pass

    with custom_object_scope({"Special": Special}):
        assert type(things.deserialize(things.serialize(Special(2)))) is Special


def test_rejected_keywords_name_the_nearest():
    error = rejected_keywords("Dense 'dense_3'", {"unit": 3, "colour": 1}, ["units", "activation"])
    assert isinstance(error, ValueError)
    assert str(error) == (
        "Dense 'dense_3' got unrecognized keyword arguments: 'unit' (did you mean 'units'?), 'colour'. "
        "It knows units, activation."
    )


def test_configs_that_are_read_at_once_name_anything():
    """Two functions of one name, one without a name, a partial; outside of `remembering` they are unknown again."""

    def made(factor):
        def act(x):
            return x * factor

        return act

    functions = [made(1), made(2), lambda x: x, functools.partial(pow, 2)]
    with remembering():
        configs = [activations.serialize(function) for function in functions]
        assert [activations.deserialize(config) for config in configs] == functions
    for config in configs:
        with pytest.raises(ValueError, match="Unknown|can't name"):
            activations.deserialize(config)
