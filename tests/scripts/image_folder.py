"""Pictures in a folder per class: list_files, map, batch and prefetch; a loop of one's own, and its checkpoints."""

import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

AUTOTUNE = tf.data.AUTOTUNE
IMG_SIZE = 12
data_dir = pathlib.Path("shapes")
rng = np.random.RandomState(0)
for name in ("disk", "square"):
    (data_dir / name).mkdir(parents=True)
    for i in range(40):
        y, x = np.mgrid[:16, :16]
        cx, cy = rng.randint(6, 10, 2)
        r = rng.randint(3, 6)
        inside = (x - cx) ** 2 + (y - cy) ** 2 <= r * r if name == "disk" else (abs(x - cx) < r) & (abs(y - cy) < r)
        image = np.clip(inside[..., None] * rng.randint(120, 200, 3) + rng.randint(0, 60, (16, 16, 3)), 0, 255)
        tf.io.write_file(str(data_dir / name / f"{i:02}.png"), tf.io.encode_png(tf.constant(image, tf.uint8)))

class_names = np.array(sorted(item.name for item in data_dir.glob("*")))
image_count = len(list(data_dir.glob("*/*.png")))
list_ds = tf.data.Dataset.list_files(str(data_dir / "*/*"), shuffle=False)
train_ds = list_ds.shard(2, 0).concatenate(list_ds.shard(4, 1))
val_ds = list_ds.shard(4, 3)


def get_label(file_path):
    parts = tf.strings.split(file_path, os.path.sep)
    one_hot = parts[-2] == class_names
    return tf.argmax(one_hot)


def decode_img(img):
    img = tf.io.decode_png(img, channels=3)
    img = tf.image.convert_image_dtype(img, tf.float32)
    return tf.image.resize(img, [IMG_SIZE, IMG_SIZE])


def process_path(file_path):
    label = get_label(file_path)
    img = tf.io.read_file(file_path)
    return decode_img(img), label


def configure_for_performance(ds):
    return ds.cache().batch(16).prefetch(buffer_size=AUTOTUNE)


train_ds = train_ds.map(process_path, num_parallel_calls=AUTOTUNE)
val_ds = configure_for_performance(val_ds.map(process_path, num_parallel_calls=AUTOTUNE))
for image, label in train_ds.take(1):
    shape, first_label = image.numpy().shape, int(label)


def augment(image, label):
    image = tf.image.random_flip_left_right(image)
    image = tf.image.random_brightness(image, max_delta=0.1)
    return tf.clip_by_value(image, 0.0, 1.0), label


augmented = train_ds.cache().shuffle(100).map(augment, num_parallel_calls=AUTOTUNE).batch(16).prefetch(AUTOTUNE)
brightest = max(float(tf.reduce_max(images)) for images, _ in augmented)
train_ds = configure_for_performance(train_ds)

model = tf.keras.Sequential([
    layers.Input((IMG_SIZE, IMG_SIZE, 3)),
    layers.Conv2D(6, 3, activation="relu"),
    layers.MaxPooling2D(),
    layers.Flatten(),
    layers.Dense(2),
])
start = np.random.RandomState(0)
model.set_weights([start.normal(0, 0.2, w.shape) for w in model.get_weights()])
loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=tf.keras.optimizers.Adam(0.01), loss=loss_fn, metrics=["accuracy"])
history = model.fit(train_ds, validation_data=val_ds, epochs=3, verbose=0)

# A loop of one's own, that goes on from its last checkpoint.
optimizer = tf.keras.optimizers.SGD(0.05, momentum=0.9)
optimizer.build(model.trainable_variables)
step = tf.Variable(0, dtype=tf.int64)
ckpt = tf.train.Checkpoint(step=step, optimizer=optimizer, model=model)
manager = tf.train.CheckpointManager(ckpt, "./tf_ckpts", max_to_keep=2)


@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        loss = loss_fn(labels, model(images, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss


losses = []
for images, labels in train_ds.repeat(2):
    losses.append(float(train_step(images, labels)))
    step.assign_add(1)
    if int(step) % 3 == 0:
        manager.save()
before = model.evaluate(val_ds, verbose=0)
ckpt.restore(tf.train.latest_checkpoint("./tf_ckpts"))
after = model.evaluate(val_ds, verbose=0)

print(json.dumps({
    "classes": class_names.tolist(),
    "count": image_count,
    "shape": list(shape),
    "first_label": first_label,
    "batches": int(tf.data.experimental.cardinality(train_ds)),
    "is_bright": 0.5 < brightest <= 1.0,
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "accuracy": history.history["accuracy"],
    "losses": losses,
    "kept": [os.path.basename(path) for path in manager.checkpoints],
    "step": int(step),
    "before": before[0],
    "after": after[0],
}))
