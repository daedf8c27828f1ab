"""Models with steps of their own, as scripts for Keras on TensorFlow have them, for any Keras and its `tf`.

Each function returns a model and what to train it on. Weights are made of a fixed generator and nothing is drawn in a
step, so that whoever trains them must end with the same numbers. They are written from what the guides of keras.io are
about: custom_train_step, GANs, VAEs, distillation, siamese networks, MixUp, SAM, accumulation by hand.
"""

import numpy as np

ROWS = 96
rng = np.random.default_rng(5)
X = rng.standard_normal((ROWS, 8)).astype("float32")
Y = (X[:, :1] * X[:, 1:2] > 0).astype("float32")
NOISE = rng.standard_normal((ROWS, 4)).astype("float32")


def seeded(model, seed=0):
    """The model with weights that no Keras drew."""
    draw = np.random.default_rng(seed)
    model.set_weights([
        draw.uniform(0.1, 0.5, w.shape) if w.ndim == 1 else draw.normal(0, 0.5, w.shape) for w in model.get_weights()
    ])
    return model


def network(keras, sizes, last=None, seed=0, name=None):
    """Dense layers with a BatchNormalization after the first."""
    x = h = keras.Input((sizes[0],))
    for i, n in enumerate(sizes[1:-1]):
        h = keras.layers.Dense(n, activation="tanh")(h)
        h = keras.layers.BatchNormalization()(h) if i == 0 else h
    return seeded(keras.Model(x, keras.layers.Dense(sizes[-1], activation=last)(h), name=name), seed)


def plain(keras, tf):
    """The first example of all guides: compute_loss, a tape, the compiled metrics."""

    class Plain(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

        def test_step(self, data):
            x, y = data
            y_pred = self(x, training=False)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

        def predict_step(self, data):
            x = data[0] if isinstance(data, tuple) else data
            return 2.0 * self(x, training=False)

    inner = network(keras, (8, 16, 8, 1), "sigmoid")
    model = Plain(inner.inputs, inner.outputs)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["mae"])
    return model, (X, Y)


def own_metrics(keras, tf):
    """No compile arguments but the optimizer; metrics of its own, which `metrics` tells; sample weights."""

    class Own(keras.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.loss_tracker = keras.metrics.Mean(name="loss")
            self.mae_metric = keras.metrics.MeanAbsoluteError(name="mae")
            self.loss_fn = keras.losses.MeanSquaredError()

        def train_step(self, data):
            x, y, sample_weight = data
            with tf.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.loss_fn(y, y_pred, sample_weight=sample_weight)
                loss = loss + sum(self.losses)
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights))
            self.loss_tracker.update_state(loss)
            self.mae_metric.update_state(y, y_pred, sample_weight=sample_weight)
            return {"loss": self.loss_tracker.result(), "mae": self.mae_metric.result()}

        @property
        def metrics(self):
            return [self.loss_tracker, self.mae_metric]

    x = keras.Input((8,))
    h = keras.layers.Dense(8, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.01))(x)
    model = seeded(Own(x, keras.layers.Dense(1)(h)))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    return model, (X, Y, np.linspace(0.5, 1.5, ROWS).astype("float32"))


def gan(keras, tf):
    """Two networks, two optimizers, no `call`. The noise is a part of the data, so that nothing is drawn."""

    class GAN(keras.Model):
        def __init__(self, discriminator, generator):
            super().__init__()
            self.discriminator, self.generator = discriminator, generator
            self.d_loss_metric = keras.metrics.Mean(name="d_loss")
            self.g_loss_metric = keras.metrics.Mean(name="g_loss")

        def compile(self, d_optimizer, g_optimizer, loss_fn):
            super().compile()
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

        @property
        def metrics(self):
            return [self.d_loss_metric, self.g_loss_metric]

        def train_step(self, data):
            real, noise = data
            batch_size = tf.shape(real)[0]
            generated = self.generator(noise)
            combined = tf.concat([generated, real], axis=0)
            labels = tf.concat([tf.ones((batch_size, 1)), tf.zeros((batch_size, 1))], axis=0)
            with tf.GradientTape() as tape:
                d_loss = self.loss_fn(labels, self.discriminator(combined))
            grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
            self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))
            misleading = tf.zeros((batch_size, 1))
            with tf.GradientTape() as tape:
                g_loss = self.loss_fn(misleading, self.discriminator(self.generator(noise)))
            grads = tape.gradient(g_loss, self.generator.trainable_weights)
            self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))
            self.d_loss_metric.update_state(d_loss)
            self.g_loss_metric.update_state(g_loss)
            return {"d_loss": self.d_loss_metric.result(), "g_loss": self.g_loss_metric.result()}

    model = GAN(network(keras, (8, 12, 1), seed=1), network(keras, (4, 12, 8), seed=2))
    model.compile(
        keras.optimizers.Adam(0.003), keras.optimizers.Adam(0.003), keras.losses.BinaryCrossentropy(from_logits=True)
    )
    return model, (X, NOISE)


def vae(keras, tf):
    """A sampling layer and a KL loss; the noise of the sampling is a part of the data."""

    class Sampling(keras.layers.Layer):
        def call(self, inputs):
            mean, log_var, noise = inputs
            return mean + keras.ops.exp(0.5 * log_var) * noise

    class VAE(keras.Model):
        def __init__(self, encoder, decoder, **kwargs):
            super().__init__(**kwargs)
            self.encoder, self.decoder = encoder, decoder
            self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
            self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

        @property
        def metrics(self):
            return [self.total_loss_tracker, self.kl_loss_tracker]

        def train_step(self, data):
            x, noise = data
            with tf.GradientTape() as tape:
                mean, log_var, z = self.encoder([x, noise])
                reconstruction = self.decoder(z)
                reconstruction_loss = tf.reduce_mean(tf.reduce_sum(tf.square(x - reconstruction), axis=1))
                kl_loss = -0.5 * (1 + log_var - tf.square(mean) - tf.exp(log_var))
                kl_loss = tf.reduce_mean(tf.reduce_sum(kl_loss, axis=1))
                total_loss = reconstruction_loss + kl_loss
            grads = tape.gradient(total_loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
            self.total_loss_tracker.update_state(total_loss)
            self.kl_loss_tracker.update_state(kl_loss)
            return {"loss": self.total_loss_tracker.result(), "kl_loss": self.kl_loss_tracker.result()}

    x, noise = keras.Input((8,)), keras.Input((4,))
    h = keras.layers.Dense(16, activation="relu")(x)
    mean, log_var = keras.layers.Dense(4)(h), keras.layers.Dense(4)(h)
    encoder = seeded(keras.Model([x, noise], [mean, log_var, Sampling()([mean, log_var, noise])]), 1)
    model = VAE(encoder, network(keras, (4, 16, 8), seed=2))
    model.compile(optimizer=keras.optimizers.Adam(0.01))
    return model, (X, NOISE)


def distiller(keras, tf):
    """A student that learns from a frozen teacher's softened outputs and from the targets; a test_step, too."""

    class Distiller(keras.Model):
        def __init__(self, student, teacher):
            super().__init__()
            self.teacher, self.student = teacher, student

        def compile(self, optimizer, metrics, student_loss_fn, distillation_loss_fn, alpha=0.1, temperature=3.0):
            super().compile(optimizer=optimizer, metrics=metrics)
            self.student_loss_fn, self.distillation_loss_fn = student_loss_fn, distillation_loss_fn
            self.alpha, self.temperature = alpha, temperature

        def call(self, x):
            return self.student(x)

        def train_step(self, data):
            x, y = data
            soft = self.teacher(x, training=False)
            with tf.GradientTape() as tape:
                y_pred = self.student(x, training=True)
                student_loss = self.student_loss_fn(y, y_pred)
                distillation_loss = self.distillation_loss_fn(
                    tf.nn.softmax(soft / self.temperature, axis=1), tf.nn.softmax(y_pred / self.temperature, axis=1)
                ) * self.temperature**2
                loss = self.alpha * student_loss + (1 - self.alpha) * distillation_loss
            variables = self.student.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
            for metric in self.metrics:
                if metric.name != "loss":
                    metric.update_state(y, y_pred)
            results = {m.name: m.result() for m in self.metrics if m.name != "loss"}
            results.update({"student_loss": student_loss, "distillation_loss": distillation_loss})
            return results

    model = Distiller(network(keras, (8, 8, 3), seed=1), network(keras, (8, 32, 3), seed=2))
    model.compile(
        keras.optimizers.Adam(0.01),
        [keras.metrics.SparseCategoricalAccuracy()],
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.KLDivergence(),
    )
    labels = (X[:, :1] > 0).astype("int32") + (X[:, 1:2] > 0).astype("int32")
    return model, (X, labels)


def triplets(keras, tf):
    """One embedding of three inputs, pulled together and pushed apart; one persistent tape."""

    class Siamese(keras.Model):
        def __init__(self, embedding, margin=5.0):
            super().__init__()
            self.embedding, self.margin = embedding, margin
            self.loss_tracker = keras.metrics.Mean(name="loss")

        def call(self, inputs):
            anchor, positive, negative = (self.embedding(x) for x in inputs)
            near = tf.reduce_sum(tf.square(anchor - positive), -1)
            return near, tf.reduce_sum(tf.square(anchor - negative), -1)

        def _triplet_loss(self, data):
            near, far = self(data)
            return tf.reduce_mean(tf.maximum(near - far + self.margin, 0.0))

        def train_step(self, data):
            data = data[0] if len(data) == 1 else data
            with tf.GradientTape(persistent=True) as tape:
                loss = self._triplet_loss(data)
            gradients = tape.gradient(loss, self.embedding.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.embedding.trainable_weights))
            self.loss_tracker.update_state(loss)
            return {"loss": self.loss_tracker.result()}

        def test_step(self, data):
            self.loss_tracker.update_state(self._triplet_loss(data[0] if len(data) == 1 else data))
            return {"loss": self.loss_tracker.result()}

        @property
        def metrics(self):
            return [self.loss_tracker]

    model = Siamese(network(keras, (8, 12, 3), seed=1))
    model.compile(optimizer=keras.optimizers.RMSprop(0.01))
    return model, ([X, np.roll(X, 1, axis=0) * 0.1 + X, X[::-1].copy()],)


def mixup(keras, tf):
    """Rows mixed with those behind them, by a train_step that calls the usual one."""

    class MixUp(keras.Model):
        def train_step(self, data):
            x, y = data
            mixed = 0.7 * x + 0.3 * tf.reverse(x, axis=[0]), 0.7 * y + 0.3 * tf.reverse(y, axis=[0])
            return super().train_step(mixed)

    inner = network(keras, (8, 16, 1), "sigmoid")
    model = MixUp(inner.inputs, inner.outputs)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["mae"])
    return model, (X, Y)


def sam(keras, tf):
    """Sharpness-aware minimization: weights are moved, gradients taken there, and moved back."""

    class SAM(keras.Model):
        def train_step(self, data):
            x, y = data
            variables = self.trainable_variables
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, variables)
            norm = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(g)) for g in gradients]))
            steps = [0.05 * g / (norm + 1e-12) for g in gradients]
            for v, step in zip(variables, steps):
                v.assign_add(step)
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            gradients = tape.gradient(loss, variables)
            for v, step in zip(variables, steps):
                v.assign_sub(step)
            self.optimizer.apply_gradients(zip(gradients, variables))
            return {"loss": loss}

    inner = network(keras, (8, 16, 1), "sigmoid")
    model = SAM(inner.inputs, inner.outputs)
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    return model, (X, Y)


def accumulating(keras, tf):
    """Gradients of two halves of a batch, added up by hand in variables of its own."""

    class Accumulating(keras.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.sums = [keras.Variable(np.zeros(v.shape, "float32"), trainable=False) for v in self.trainable_variables]

        def train_step(self, data):
            x, y = data
            half = x.shape[0] // 2
            for v in self.sums:
                v.assign(tf.zeros_like(v))
            for rows in (slice(None, half), slice(half, None)):
                with tf.GradientTape() as tape:
                    loss = self.compute_loss(x[rows], y[rows], self(x[rows], training=True))
                for total, gradient in zip(self.sums, tape.gradient(loss, self.trainable_variables)):
                    total.assign_add(0.5 * gradient)
            self.optimizer.apply([1.0 * v for v in self.sums], self.trainable_variables)
            return {"loss": loss}

    inner = network(keras, (8, 16, 1), "sigmoid")
    model = Accumulating(inner.inputs, inner.outputs)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    return model, (X, Y)


MODELS = {f.__name__: f for f in (plain, own_metrics, gan, vae, distiller, triplets, mixup, sam, accumulating)}


def trained(name, keras, tf, **options):
    """(the model, the History's dict) of four epochs in the order of the rows."""
    model, data = MODELS[name](keras, tf)
    for option, value in options.items():
        setattr(model, option, value)
    more = {"sample_weight": data[2]} if len(data) == 3 else {}
    history = model.fit(*data[:2], batch_size=32, epochs=4, shuffle=False, verbose=0, **more)
    return model, history.history
