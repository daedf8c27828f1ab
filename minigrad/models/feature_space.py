"""FeatureSpace: the columns of a table, each encoded as its kind says, as the input of a network."""

import numpy as np

from minigrad import saving
from minigrad.configurable import Configurable
from minigrad.graph import has_symbols
from minigrad.layers import (
    CategoryEncoding,
    Concatenate,
    Discretization,
    HashedCrossing,
    Hashing,
    Identity,
    Input,
    IntegerLookup,
    Normalization,
    Rescaling,
    StringLookup,
)
from minigrad.layers.base import Layer, registry
from minigrad.layers.vocabulary import checked_mode
from minigrad.names import auto_name
from minigrad.tables import columns_of, values_of
from minigrad.texts import is_strings, strings
from minigrad.trees import mapped

_PLACE = "keras.src.layers.preprocessing.feature_space"  # where Keras has the classes that have no public name


@registry.register(module=_PLACE)
class TFDIdentity(Identity):
    """The numbers of a column as they are. (The name is the one in Keras' files.)"""


@registry.register(module=_PLACE)
class TFDConcat(Concatenate):
    """The encoded columns side by side. (The name is the one in Keras' files.)"""


@registry.register(module=_PLACE)
class Cross(Configurable):
    """Columns that are encoded together, by a HashedCrossing of `crossing_dim` buckets. See FeatureSpace."""

    def __init__(self, feature_names, crossing_dim, output_mode="one_hot"):
        if isinstance(feature_names, dict):  # a tuple in a file of Keras
            feature_names = feature_names["items"]
        checked_mode("FeatureSpace.cross", output_mode, "int", "one_hot")
        self._keep({"feature_names": tuple(feature_names), "crossing_dim": crossing_dim, "output_mode": output_mode})

    @property
    def name(self):
        """The names of the columns, joined."""
        return "_X_".join(self.feature_names)


@registry.register(module=_PLACE)
class Feature(Configurable):
    """A column: the dtype of its Input, the layer that prepares it, and how that is encoded. See FeatureSpace."""

    kinds = {"preprocessor": registry}

    def __init__(self, dtype, preprocessor, output_mode):
        checked_mode("FeatureSpace.feature", output_mode, "int", "one_hot", "float")
        self._keep(locals())


@registry.register(module="keras.utils")
class FeatureSpace(Layer):
    """Encodes the columns of a table: {name: rows} -> (n, columns), or a dict of arrays with output_mode="dict".

    `adapt` finds what the columns hold. Call the FeatureSpace on a dict of columns (or of one row), in
    `Dataset.map(feature_space)`, or make it a part of a model, which then takes the table itself:
    `Model(space.get_inputs(), Dense(1)(space.get_encoded_features()))`.

    Args:
        features: {name: kind}; a kind is "float", "float_normalized", "float_rescaled", "float_discretized",
            "integer_categorical", "string_categorical", "integer_hashed" or "string_hashed", or what the method of
            this name returns, or `FeatureSpace.feature(dtype, layer, output_mode)` with a layer of your own.
        output_mode: "concat": all columns side by side, in the order of their names, crosses behind; or "dict".
        crosses: tuples of names of columns that are hashed together, or `FeatureSpace.cross(...)`.
        crossing_dim, hashing_dim, num_discretization_bins: the number of columns that come out of a cross, a hashed
            column and a discretized column, where its own kind does not say it.

    Raises:
        ValueError: unknown kinds or names, or a call before `adapt`.

    >>> space = FeatureSpace({"age": "float_normalized", "city": "string_categorical"})
    >>> space.adapt(dict(frame[["age", "city"]]))
    >>> space({"age": 31.0, "city": "Rome"}).shape
    (4,)
    """

    def __init__(
        self, features, output_mode="concat", crosses=None, crossing_dim=32, hashing_dim=32,
        num_discretization_bins=32, name=None,
    ):
        super().__init__(name=name)
        owner = f"FeatureSpace {self.name!r}"
        if not features:
            raise ValueError(f"{owner} needs features, a dict from the names of columns to their kinds.")
        self.crossing_dim, self.hashing_dim = crossing_dim, hashing_dim
        self.num_discretization_bins = num_discretization_bins
        self.output_mode = checked_mode(owner, output_mode, "concat", "dict")
        self.features = {name: self._feature(name, kind) for name, kind in features.items()}
        self.crosses = [self._cross(one) for one in crosses or ()]
        self.preprocessors = {name: feature.preprocessor for name, feature in self.features.items()}
        self.crossers = {one.name: HashedCrossing(one.crossing_dim, name=one.name) for one in self.crosses}
        self.inputs = {name: Input((1,), dtype=one.dtype, name=name) for name, one in self.features.items()}
        self.one_hot_encoders, self.concat, self.encoded_features = {}, None, None
        self._is_adapted = not self._adaptable()

    # ---- kinds of columns

    @classmethod
    def cross(cls, feature_names, crossing_dim, output_mode="one_hot"):
        """Columns that are hashed together into `crossing_dim` buckets."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype, preprocessor, output_mode):
        """A column with a preprocessing layer of your own; output_mode: "int", "one_hot" or "float"."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name=None):
        """Numbers as they are."""
        return Feature("float32", TFDIdentity(name=_name(name, "float")), "float")

    @classmethod
    def float_rescaled(cls, scale=1.0, offset=0.0, name=None):
        """scale x + offset."""
        return Feature("float32", Rescaling(scale, offset, name=_name(name, "float_rescaled")), "float")

    @classmethod
    def float_normalized(cls, name=None):
        """Numbers with mean 0 and variance 1."""
        return Feature("float32", Normalization(axis=-1, name=_name(name, "float_normalized")), "float")

    @classmethod
    def float_discretized(cls, num_bins, bin_boundaries=None, output_mode="one_hot", name=None):
        """The bin of each number."""
        layer = Discretization(bin_boundaries, num_bins, name=_name(name, "float_discretized"))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(cls, max_tokens=None, num_oov_indices=1, output_mode="one_hot", name=None):
        """The place of each integer in a vocabulary."""
        layer = IntegerLookup(max_tokens, num_oov_indices, name=_name(name, "integer_categorical"))
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(cls, max_tokens=None, num_oov_indices=1, output_mode="one_hot", name=None):
        """The place of each text in a vocabulary."""
        layer = StringLookup(max_tokens, num_oov_indices, name=_name(name, "string_categorical"))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(cls, num_bins, output_mode="one_hot", name=None):
        """A bucket for each text."""
        return Feature("string", Hashing(num_bins, name=_name(name, "string_hashed")), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins, output_mode="one_hot", name=None):
        """A bucket for each integer."""
        return Feature("int32", Hashing(num_bins, name=_name(name, "integer_hashed")), output_mode)

    def _feature(self, name, kind):
        if isinstance(kind, dict):
            kind = registry.deserialize(kind)
        if isinstance(kind, Feature):
            return kind
        first = {
            "float_discretized": (self.num_discretization_bins,), "integer_hashed": (self.hashing_dim,),
            "string_hashed": (self.hashing_dim,),
        }  # fmt: skip
        plain = ("float", "float_normalized", "float_rescaled", "integer_categorical", "string_categorical")
        if kind not in (*plain, *first):
            raise ValueError(
                f"FeatureSpace {self.name!r}: the kind of column {name!r} must be one of {(*plain, *first)}, or what "
                f"FeatureSpace.feature(...) returns; got {kind!r}."
            )
        return getattr(self, kind)(*first.get(kind, ()), name=name)

    def _cross(self, given):
        if isinstance(given, dict):
            given = registry.deserialize(given)
        cross = given if isinstance(given, Cross) else Cross(given, self.crossing_dim)
        unknown = [name for name in cross.feature_names if name not in self.features]
        if unknown or not cross.crossing_dim:
            what = f"knows no columns {unknown}" if unknown else "needs crossing_dim, the number of buckets,"
            raise ValueError(f"FeatureSpace {self.name!r} {what} for the cross of {cross.feature_names}.")
        return cross

    # ---- adapt

    def _adaptable(self):
        """The names of columns whose layers learn from data."""
        def learns(layer):
            is_given = getattr(layer, "_was_given", False) or getattr(layer, "input_mean", None) is not None
            is_given = is_given or isinstance(layer, Discretization) and layer.num_bins is None
            return hasattr(layer, "adapt") and not is_given

        return [name for name, layer in self.preprocessors.items() if learns(layer)]

    def adapt(self, dataset):
        """Let the layers of all columns learn from data.

        Args:
            dataset: a dict of columns, a data frame, or an iterable of such dicts (of batches, or of single rows), such
                as a Dataset.
        """
        names = self._adaptable()
        tables = dataset if (table := _as_dict(dataset)) is None else [table]
        if not hasattr(tables, "__iter__") or isinstance(tables, str):
            raise ValueError(
                f"FeatureSpace {self.name!r}: adapt expects a dict of columns, a data frame or an iterable of dicts, "
                f"got {type(dataset).__name__}."
            )
        parts = {name: [] for name in names}
        for table in map(_as_dict, tables):
            for name in names:
                parts[name].append(self._column(table, name))
        for name in names:
            batches = [_as_array(part) for part in parts[name]]
            if not batches:
                raise ValueError(f"FeatureSpace {self.name!r}: adapt got no data.")
            if not batches[0].ndim:
                batches = [np.stack(batches)]
            self.preprocessors[name].adapt(batch[:, None] if batch.ndim == 1 else batch for batch in batches)
        self._is_adapted = True
        self.get_encoded_features()

    def _column(self, table, name):
        if not isinstance(table, dict) or name not in table:
            found = list(table) if isinstance(table, dict) else type(table).__name__
            raise ValueError(f"FeatureSpace {self.name!r} needs a dict with the column {name!r}, got {found}.")
        return table[name]

    # ---- encoding

    def get_inputs(self):
        """{name: what `Input` returned} for a model that takes the table."""
        self.get_encoded_features()
        return self.inputs

    def get_encoded_features(self):
        """The symbol of the encoded columns, or with output_mode="dict" a dict of them, for a model."""
        if not self._is_adapted:
            raise ValueError(f"FeatureSpace {self.name!r} knows no data yet: call adapt(data) first.")
        if self.encoded_features is None:
            self.encoded_features = self._encoded(self.inputs)
            self.built = self._is_ready = True
        return self.encoded_features

    def _encoded(self, data):
        found = {name: self.preprocessors[name](data[name]) for name in sorted(self.features)}
        crosses = {cross.name: cross for cross in self.crosses}
        for name in sorted(crosses):
            found[name] = self.crossers[name]([found[one] for one in crosses[name].feature_names])
        kinds = {**self.features, **crosses}
        for name in [name for name in found if kinds[name].output_mode == "one_hot"]:
            found[name] = self._one_hot(name, found[name])
        if self.output_mode == "dict":
            return found
        for name, x in found.items():
            if "float" not in str(x.dtype):
                raise ValueError(
                    f"FeatureSpace {self.name!r}: column {name!r} is not encoded (it has dtype {x.dtype}), so it can't "
                    "stand beside others: use output_mode='dict', or another output_mode of the column."
                )
        self.concat = self.concat or TFDConcat(axis=-1)
        return self.concat(list(found.values()))

    def _one_hot(self, name, x):
        """Integers that the layer of a column made, as columns of 0 and 1."""
        if name not in self.one_hot_encoders:
            layer = self.preprocessors.get(name) or self.crossers.get(name)
            size = layer.vocabulary_size() if hasattr(layer, "vocabulary_size") else getattr(layer, "_depth", None)
            if size is None or "int" not in str(x.dtype):
                raise ValueError(
                    f"FeatureSpace {self.name!r}: column {name!r} has output_mode='one_hot', for which its layer must "
                    f"be a lookup, Hashing, Discretization or CategoryEncoding that returns integers; got {layer!r}, "
                    f"which returns {x.dtype}."
                )
            self.one_hot_encoders[name] = CategoryEncoding(size, output_mode="multi_hot")
        return self.one_hot_encoders[name](x)

    def __call__(self, data):
        """The encoded columns of a dict of columns (each of shape (n,) or (n, 1)), or of single values."""
        self.get_encoded_features()
        table = _as_dict(data)
        data = {name: self._column(data if table is None else table, name) for name in self.features}
        if has_symbols(data):
            return self._encoded(data)
        data = {name: _as_array(x) for name, x in data.items()}
        is_row = any(x.ndim == 0 for x in data.values())
        data = {name: x.reshape(1, 1) if x.ndim == 0 else x[:, None] if x.ndim == 1 else x for name, x in data.items()}
        found = self._encoded(data)
        return mapped(lambda x: x[0] if is_row and x.shape[0] == 1 else x, found)

    # ---- files

    def get_config(self):
        names = ("output_mode", "crossing_dim", "hashing_dim", "num_discretization_bins")
        features = {name: registry.serialize(feature) for name, feature in self.features.items()}
        crosses = [registry.serialize(cross) for cross in self.crosses]
        return {"features": features, "crosses": crosses, **{name: getattr(self, name) for name in names}}

    def get_build_config(self):
        return {name: layer.get_build_config() for name, layer in self.preprocessors.items()}

    def build_from_config(self, config):
        """Make the variables of the layers. Their vocabularies come from the file."""
        for name, one in (config or {}).items():
            if not self.preprocessors[name].built:
                self.preprocessors[name].build_from_config(one)
        self._is_adapted = True

    def save(self, filepath):
        """Write it to a `.keras` file, which `keras.models.load_model` opens, also that of Keras."""
        saving.save_model(self, filepath)


def _name(name, kind):
    return f"{name or auto_name(kind)}_preprocessor"


def _as_dict(data):
    """A table as a dict of its columns; None for anything else."""
    return data if isinstance(data, dict) else columns_of(data)


def _as_array(value):
    """A column, or a single value, as an array; of texts a StringArray."""
    value = values_of(value)
    return strings(value) if is_strings(value) else np.asarray(value)
