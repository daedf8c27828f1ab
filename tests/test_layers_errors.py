"""What a layer refuses: arguments that make no sense, and inputs that do not fit."""

import math

import numpy as np
import pytest
from helpers import assert_same
from test_layers import in_both_modes

import minigrad as keras
from minigrad import layers

BAD_ARGUMENTS = {
    "Dense units 0": (lambda: layers.Dense(0), ["Dense", "units", "0"]),
    "Dense units negative": (lambda: layers.Dense(-3), ["Dense", "units", "-3"]),
    "Dense units float": (lambda: layers.Dense(3.0), ["Dense", "units", "3.0"]),
    "Dense units string": (lambda: layers.Dense("3"), ["Dense", "units", "'3'"]),
    "Dense units None": (lambda: layers.Dense(None), ["Dense", "units", "None"]),
    "Dense activation": (lambda: layers.Dense(3, activation="rleu"), ["rleu", "relu"]),
    "Dense activation number": (lambda: layers.Dense(3, activation=5), ["activation", "5"]),
    "Dense initializer": (lambda: layers.Dense(3, kernel_initializer="he_norml"), ["he_norml", "he_normal"]),
    "Dense regularizer": (lambda: layers.Dense(3, kernel_regularizer="l3"), ["l3"]),
    "Dense constraint": (lambda: layers.Dense(3, bias_constraint="max_nrm"), ["max_nrm", "max_norm"]),
    "Dense keyword": (lambda: layers.Dense(3, activaton="relu"), ["Dense", "activaton", "activation"]),
    "BatchNormalization axis": (
        lambda: layers.BatchNormalization(axis=1.5),
        ["BatchNormalization", "axis", "1.5"],
    ),
    "BatchNormalization axes": (
        lambda: layers.BatchNormalization(axis=[1, 2]),
        ["BatchNormalization", "axis"],
    ),
    "BatchNormalization momentum": (
        lambda: layers.BatchNormalization(momentum=1.1),
        ["BatchNorm", "momentum", "1.1"],
    ),
    "BatchNormalization momentum string": (
        lambda: layers.BatchNormalization(momentum="0.9"),
        ["BatchNormalization", "momentum", "'0.9'"],
    ),
    "BatchNormalization epsilon": (
        lambda: layers.BatchNormalization(epsilon=-1e-3),
        ["BatchNorm", "epsilon", "-0.001"],
    ),
    "BatchNormalization epsilon None": (
        lambda: layers.BatchNormalization(epsilon=None),
        ["BatchNorm", "epsilon", "None"],
    ),
    "BatchNormalization epsilon NaN": (
        lambda: layers.BatchNormalization(epsilon=math.nan),
        ["BatchNorm", "epsilon", "nan"],
    ),
    "BatchNormalization renorm_clipping": (
        lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"rmx": 1}),
        ["BatchNormalization", "rmx"],
    ),
    "BatchNormalization keyword": (
        lambda: layers.BatchNormalization(momentun=0.9),
        ["BatchNorm", "momentun", "momentum"],
    ),
    "Activation": (lambda: layers.Activation("ReLo"), ["ReLo"]),
    "Activation keyword": (lambda: layers.Activation("relu", nam="a"), ["Activation", "nam", "name"]),
    "Dropout above 1": (lambda: layers.Dropout(1.1), ["Dropout", "rate", "1.1"]),
    "Dropout below 0": (lambda: layers.Dropout(-0.1), ["Dropout", "rate", "-0.1"]),
    "Dropout string": (lambda: layers.Dropout("0.5"), ["Dropout", "rate", "'0.5'"]),
    "Dropout NaN": (lambda: layers.Dropout(math.nan), ["Dropout", "rate", "nan"]),
    "Dropout bool": (lambda: layers.Dropout(True), ["Dropout", "rate", "True"]),
    "Dropout seed": (lambda: layers.Dropout(0.5, seed=1.5), ["Dropout", "seed", "1.5"]),
    "Dropout noise_shape": (lambda: layers.Dropout(0.5, noise_shape=3), ["Dropout", "noise_shape", "3"]),
    "Dropout noise_shape 0": (lambda: layers.Dropout(0.5, noise_shape=(0, 1)), ["Dropout", "noise_shape", "(0, 1)"]),
    "Dense trainable": (lambda: layers.Dense(2, trainable="yes"), ["Dense", "trainable", "'yes'"]),
    "BatchNormalization rmin": (
        lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"rmin": 2.0, "rmax": 1.0}),
        ["BatchNormalization", "rmin", "2.0", "1.0"],
    ),
    "AlphaDropout of all": (lambda: layers.AlphaDropout(1.0), ["AlphaDropout", "rate", "1.0"]),
    "AlphaDropout noise_shape": (lambda: layers.AlphaDropout(0.5, noise_shape=3), ["AlphaDropout", "noise_shape"]),
    "GaussianDropout of all": (lambda: layers.GaussianDropout(1), ["GaussianDropout", "rate", "got 1"]),
    "GaussianDropout seed": (lambda: layers.GaussianDropout(0.5, seed="1"), ["GaussianDropout", "seed", "'1'"]),
    "GaussianNoise": (lambda: layers.GaussianNoise(-0.1), ["GaussianNoise", "stddev", "-0.1"]),
    "GaussianNoise above 1": (lambda: layers.GaussianNoise(1.5), ["GaussianNoise", "stddev", "1.5"]),
    "ActivityRegularization": (lambda: layers.ActivityRegularization(l1=-1.0), ["l1", "-1.0"]),
    "Reshape int": (lambda: layers.Reshape(6), ["Reshape", "target_shape", "6"]),
    "Reshape unknowns": (lambda: layers.Reshape((-1, -1)), ["Reshape", "target_shape", "-1"]),
    "Reshape zero": (lambda: layers.Reshape((0, 2)), ["Reshape", "target_shape", "0"]),
    "Reshape float": (lambda: layers.Reshape((2.0, 3)), ["Reshape", "target_shape", "2.0"]),
    "Permute with rows": (lambda: layers.Permute((0, 1)), ["Permute", "dims", "(0, 1)"]),
    "Permute twice": (lambda: layers.Permute((1, 1)), ["Permute", "dims", "(1, 1)"]),
    "Permute string": (lambda: layers.Permute("ab"), ["Permute", "dims", "ab"]),
    "RepeatVector": (lambda: layers.RepeatVector(0), ["RepeatVector", "n", "0"]),
    "RepeatVector float": (lambda: layers.RepeatVector(2.0), ["RepeatVector", "n", "2.0"]),
    "Rescaling": (lambda: layers.Rescaling("2x"), ["Rescaling", "scale", "2x"]),
    "Normalization mean alone": (lambda: layers.Normalization(mean=1.0), ["Normalization", "mean", "variance"]),
    "Normalization shapes": (
        lambda: layers.Normalization(mean=[1.0, 2.0], variance=[1.0]), ["Normalization", "(2,)", "(1,)"]
    ),
    "Normalization too many axes": (
        lambda: layers.Normalization(mean=[[1.0]], variance=[[1.0]]), ["Normalization", "(1, 1)"]
    ),
    "Normalization axis": (lambda: layers.Normalization(axis=0.5), ["Normalization", "axis", "0.5"]),
    "LayerNormalization axis": (lambda: layers.LayerNormalization(axis="a"), ["LayerNormalization", "axis", "'a'"]),
    "LayerNormalization epsilon": (
        lambda: layers.LayerNormalization(epsilon=-1.0), ["LayerNormalization", "epsilon", "-1.0"]
    ),
    "LayerNormalization rms_scaling": (
        lambda: layers.LayerNormalization(rms_scaling=True), ["rms_scaling", "RMSNormalization"]
    ),
    "RMSNormalization epsilon": (lambda: layers.RMSNormalization(epsilon=None), ["RMSNorm", "epsilon", "None"]),
    "UnitNormalization axis": (lambda: layers.UnitNormalization(axis=[]), ["UnitNormalization", "axis", "[]"]),
    "ELU": (lambda: layers.ELU(alpha="a"), ["ELU", "alpha", "'a'"]),
    "PReLU axes": (lambda: layers.PReLU(shared_axes="a"), ["PReLU", "shared_axes", "'a'"]),
    "Dense lora": (lambda: layers.Dense(3, lora_rank=2), ["Dense", "LoRA"]),
    "Flatten": (lambda: layers.Flatten("channels_frist"), ["Flatten", "data_format", "channels_frist"]),
    "ReLU": (lambda: layers.ReLU(max_value=-1.0), ["ReLU", "max_value", "-1.0"]),
    "ReLU slope": (lambda: layers.ReLU(negative_slope=None), ["ReLU", "negative_slope", "None"]),
    "ReLU threshold": (lambda: layers.ReLU(threshold=-1), ["ReLU", "threshold", "-1"]),
    "LeakyReLU": (lambda: layers.LeakyReLU(negative_slope=-0.2), ["LeakyReLU", "negative_slope", "-0.2"]),
    "Softmax": (lambda: layers.Softmax(axis=0.5), ["Softmax", "axis", "0.5"]),
    "Softmax keyword": (lambda: layers.Softmax(axsi=1), ["Softmax", "axsi", "axis"]),
    "Input int": (lambda: keras.Input(20), ["Input", "shape", "20"]),
    "Input string": (lambda: keras.Input("20"), ["Input", "shape"]),
    "Input none": (lambda: keras.Input(), ["Input", "shape", "None"]),
    "Input negative": (lambda: keras.Input((-1,)), ["Input", "shape", "-1"]),
    "Input float": (lambda: keras.Input((2.0,)), ["Input", "shape", "2.0"]),
    "Input sparse": (lambda: keras.Input((3,), sparse=True), ["Input", "sparse"]),
    "InputLayer zero": (lambda: layers.InputLayer((0,)), ["Input", "shape", "0"]),
    "input_shape int": (lambda: layers.Dense(3, input_shape=20), ["Dense", "input_shape", "20"]),
    "input_dim string": (lambda: layers.Dense(3, input_dim="20"), ["Dense", "input_dim", "'20'"]),
    "input_shape negative": (lambda: layers.Dense(3, input_shape=(-2,)), ["Dense", "input_shape", "-2"]),
    "batch_inputs_shape": (
        lambda: layers.Dense(3, batch_inputs_shape=(None, 2)),
        ["Dense", "batch_inputs_shape", "input_shape"],
    ),
    "name with a slash": (lambda: layers.Dense(3, name="a/b"), ["Dense", "name", "a/b"]),
    "name not a string": (lambda: layers.Dropout(0.1, name=3), ["Dropout", "name", "3"]),
    "dtype": (lambda: layers.Dense(3, dtype="float16"), ["Dense", "dtype", "float16"]),
    "Layer keyword": (lambda: layers.Layer(units=3), ["Layer", "units"]),
}


@pytest.mark.parametrize("make, words", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


BAD_INPUTS = {
    "Dense width": (lambda: layers.Dense(3, name="it"), (2, 5), (2, 4), ["it", "5", "(2, 4)"]),
    "Dense rank 1": (lambda: layers.Dense(3, name="it"), None, (5,), ["it", "two axes", "(1, features)"]),
    "Dense rank 1, built": (lambda: layers.Dense(3, name="it"), (2, 5), (5,), ["it", "two axes", "(5,)"]),
    "BatchNormalization width": (
        lambda: layers.BatchNormalization(name="it"),
        (2, 5),
        (2, 4),
        ["it", "5", "(2, 4)"],
    ),
    "BatchNormalization axis": (
        lambda: layers.BatchNormalization(axis=2, name="it"),
        None,
        (2, 5),
        ["it", "axis 2"],
    ),
    "BatchNormalization negative axis": (
        lambda: layers.BatchNormalization(axis=-3, name="it"),
        None,
        (2, 5),
        ["it", "-3"],
    ),
    "BatchNormalization rank 1": (
        lambda: layers.BatchNormalization(name="it"),
        None,
        (5,),
        ["it", "(5,)"],
    ),
    "BatchNormalization rank, built": (
        lambda: layers.BatchNormalization(axis=2, name="it"),
        (2, 3, 5),
        (2, 5),
        ["it", "axis 2", "(2, 5)"],
    ),
    "Softmax axis": (lambda: layers.Softmax(axis=3, name="it"), None, (2, 5), ["it", "axis", "3", "(2, 5)"]),
    "LayerNormalization axis": (
        lambda: layers.LayerNormalization(axis=3, name="it"), None, (2, 5), ["it", "axis 3", "(2, 5)"]
    ),
    "LayerNormalization axes": (
        lambda: layers.LayerNormalization(axis=(1, -1), name="it"), None, (2, 5), ["it", "axis (1, -1)"]
    ),
    "LayerNormalization rows": (
        lambda: layers.LayerNormalization(axis=0, name="it"), None, (2, 5), ["it", "axis 0", "first"]
    ),
    "LayerNormalization width": (lambda: layers.LayerNormalization(name="it"), (2, 5), (2, 4), ["it", "5", "(2, 4)"]),
    "RMSNormalization width": (lambda: layers.RMSNormalization(name="it"), (2, 5), (2, 1, 4), ["it", "(2, 1, 4)"]),
    "UnitNormalization axis": (lambda: layers.UnitNormalization(2, name="it"), None, (2, 5), ["it", "axis 2"]),
    "PReLU shared axis": (
        lambda: layers.PReLU(shared_axes=[2], name="it"), None, (2, 5), ["it", "shared_axes [2]", "(2, 5)"]
    ),
    "PReLU rows": (lambda: layers.PReLU(shared_axes=0, name="it"), None, (2, 5), ["it", "shared_axes [0]"]),
    "PReLU width": (lambda: layers.PReLU(name="it"), (2, 5), (2, 4), ["it", "5", "(2, 4)"]),
    "Reshape size": (lambda: layers.Reshape((4, 2), name="it"), None, (2, 5), ["it", "(4, 2)", "(5,)", "5 elements"]),
    "Reshape -1": (lambda: layers.Reshape((4, -1), name="it"), None, (2, 5), ["it", "(4, -1)", "(5,)"]),
    "Permute rank": (lambda: layers.Permute((2, 1), name="it"), None, (2, 5), ["it", "3 axes", "(2, 5)"]),
    "RepeatVector rank": (lambda: layers.RepeatVector(2, name="it"), None, (2, 5, 1), ["it", "2 axes", "(2, 5, 1)"]),
    "Normalization axis": (lambda: layers.Normalization(2, name="it"), None, (2, 5), ["it", "axis (2,)"]),
    "Normalization width": (lambda: layers.Normalization(name="it"), (2, 5), (2, 4), ["it", "5", "(2, 4)"]),
    "Dropout noise_shape rank": (
        lambda: layers.Dropout(0.5, noise_shape=(None, 1, 1), name="it"),
        None,
        (2, 5),
        ["it", "noise_shape", "(2, 5)"],
    ),
    "Dropout noise_shape size": (
        lambda: layers.Dropout(0.5, noise_shape=(2, 3), name="it"),
        None,
        (2, 1),
        ["it", "noise_shape", "(2, 1)"],
    ),
}


@in_both_modes
@pytest.mark.parametrize("make, built_for, shape, words", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_bad_inputs(make, built_for, shape, words, training):
    layer = make()
    if built_for is not None:
        layer(np.ones(built_for, "float32"))
    if "noise_shape" in words and not training:
        return  # only looked at where there is noise
    before = layer.get_weights()
    with pytest.raises(ValueError) as error:
        layer(np.ones(shape, "float32"), training=training)
    for word in words:
        assert word in str(error.value)
    assert_same(layer.get_weights(), before)
