"""The models of the benchmarks in the words that every implementation of the Keras API understands."""


def build(keras, model):
    """The compiled model."""
    net = {"chain": chain, "functional": functional, "own": own, "residual": residual, "embedding": embedding}[
        model.kind
    ](keras, model)
    loss = "binary_crossentropy" if model.binary else "sparse_categorical_crossentropy"
    net.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    return net


def inputs_of(model, x):
    """The data as `fit` takes them: each column of categories apart."""
    return [*x[0].T[:, :, None].copy(), x[1]] if model.columns else x


def head(keras, model):
    return keras.layers.Dense(model.widths[-1], activation="sigmoid" if model.binary else "softmax")


def chain(keras, model):
    layers = [keras.Input(shape=(model.widths[0],))]
    for units in model.hidden:
        if model.dropout:
            layers += [
                keras.layers.Dense(units, activation="relu"), keras.layers.BatchNormalization(),
                keras.layers.Dropout(model.dropout),
            ]
        else:
            layers += [
                keras.layers.Dense(units), keras.layers.BatchNormalization(), keras.layers.Activation("relu"),
            ]
    return keras.Sequential([*layers, head(keras, model)])


def hidden(keras, units, x):
    x = keras.layers.BatchNormalization()(keras.layers.Dense(units)(x))
    return keras.layers.Activation("relu")(x)


def functional(keras, model, kind=None):
    x = h = keras.Input(shape=(model.widths[0],))
    for units in model.hidden:
        h = hidden(keras, units, h)
    return (kind or keras.Model)(x, head(keras, model)(h))


def residual(keras, model):
    x = keras.Input(shape=(model.widths[0],))
    h = keras.layers.Dense(model.hidden[0])(x)
    for first, second in zip(model.hidden[1::2], model.hidden[2::2]):
        h = keras.layers.Add()([h, hidden(keras, second, hidden(keras, first, h))])
    return keras.Model(x, head(keras, model)(h))


def embedding(keras, model):
    columns = [keras.Input(shape=(1,), dtype="int32") for _ in range(model.columns)]
    numbers = keras.Input(shape=(model.widths[0] - model.columns,))
    vectors = [keras.layers.Flatten()(keras.layers.Embedding(model.values, 8)(column)) for column in columns]
    h = keras.layers.Concatenate()([*vectors, numbers])
    for units in model.hidden:
        h = keras.layers.Dense(units, activation="relu")(h)
    return keras.Model([*columns, numbers], head(keras, model)(h))


def own(keras, model):
    """The usual step, written by hand as the guide for each back end writes it."""
    if keras.backend.backend() == "jax":
        return functional(keras, model, own_for_jax(keras))
    if keras.__name__ == "minigrad":
        from minigrad import GradientTape
    else:
        from tensorflow import GradientTape

    class Own(keras.Model):
        def train_step(self, data):
            x, y = data
            with GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {metric.name: metric.result() for metric in self.metrics}

    return functional(keras, model, Own)


def own_for_jax(keras):
    """On JAX the state of everything is passed around by hand."""
    import jax

    class Own(keras.Model):
        def loss_and_updates(self, trained, others, x, y):
            y_pred, others = self.stateless_call(trained, others, x, training=True)
            return self.compute_loss(x, y, y_pred), (y_pred, others)

        def train_step(self, state, data):
            trained, others, of_optimizer, of_metrics = state
            x, y = data
            differentiate = jax.value_and_grad(self.loss_and_updates, has_aux=True)
            (loss, (y_pred, others)), gradients = differentiate(trained, others, x, y)
            trained, of_optimizer = self.optimizer.stateless_apply(of_optimizer, gradients, trained)
            logs, found, places = {}, [], list(of_metrics)
            for metric in self.metrics:
                own = [places.pop(0) for _ in metric.variables]
                given = (loss,) if metric.name == "loss" else (y, y_pred)
                own = metric.stateless_update_state(own, *given)
                result = metric.stateless_result(own)
                logs.update(result if isinstance(result, dict) else {metric.name: result})
                found += own
            return logs, (trained, others, of_optimizer, found)

    return Own
