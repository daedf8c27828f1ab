"""Circles and squares: pictures in folders, ImageDataGenerator with augmentation, a small convolutional network."""

import json
import os

import numpy as np
from PIL import Image, ImageDraw
from tensorflow.keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from tensorflow.keras.models import Sequential
from tensorflow.keras.optimizers import Adam
from tensorflow.keras.preprocessing import image
from tensorflow.keras.preprocessing.image import ImageDataGenerator
from tensorflow.keras.utils import set_random_seed

set_random_seed(7)
rng = np.random.RandomState(0)

for part, count in (("train", 80), ("test", 20)):
    for kind in ("circle", "square"):
        os.makedirs(f"data/{part}/{kind}", exist_ok=True)
        for i in range(count):
            img = Image.new("RGB", (40, 40), tuple(rng.randint(0, 50, 3)))
            size, left, top = rng.randint(22, 28), rng.randint(1, 10), rng.randint(1, 10)
            draw = ImageDraw.Draw(img)
            shape = draw.ellipse if kind == "circle" else draw.rectangle
            shape((left, top, left + size, top + size), fill=tuple(rng.randint(180, 256, 3)))
            img.save(f"data/{part}/{kind}/{kind}{i:03d}.png")

img_width, img_height, batch_size = 28, 28, 16

train_datagen = ImageDataGenerator(
    rescale=1.0 / 255,
    rotation_range=5,
    zoom_range=0.1,
    horizontal_flip=True,
    vertical_flip=True,
    validation_split=0.25,
)
test_datagen = ImageDataGenerator(rescale=1.0 / 255)

train_generator = train_datagen.flow_from_directory(
    "data/train", target_size=(img_width, img_height), batch_size=batch_size, class_mode="binary", subset="training",
    seed=42,
)
validation_generator = train_datagen.flow_from_directory(
    "data/train", target_size=(img_width, img_height), batch_size=batch_size, class_mode="binary", subset="validation",
    seed=42,
)
test_generator = test_datagen.flow_from_directory(
    "data/test", target_size=(img_width, img_height), batch_size=batch_size, class_mode="binary", shuffle=False
)

model = Sequential()
model.add(Conv2D(8, (3, 3), activation="relu", input_shape=(img_width, img_height, 3)))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Conv2D(16, (3, 3), activation="relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(32, activation="relu"))
model.add(Dropout(0.2))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer=Adam(learning_rate=0.006), metrics=["accuracy"])

history = model.fit(
    train_generator,
    steps_per_epoch=len(train_generator),
    epochs=10,
    validation_data=validation_generator,
    validation_steps=len(validation_generator),
    verbose=0,
)
score = model.evaluate(test_generator, verbose=0)
probabilities = model.predict(test_generator, verbose=0).ravel()
found = (probabilities > 0.5).astype(int)

test_image = image.load_img("data/test/square/square003.png", target_size=(img_width, img_height))
test_image = np.expand_dims(image.img_to_array(test_image), axis=0) / 255.0
result = model.predict(test_image, verbose=0)

print(json.dumps({
    "class_indices": train_generator.class_indices,
    "sizes": [train_generator.samples, validation_generator.samples, test_generator.n, len(train_generator)],
    "first": test_generator.filenames[0],
    "loss": history.history["loss"][-1],
    "val_accuracy": history.history["val_accuracy"][-1],
    "test_accuracy": score[1],
    "hits": int((found == test_generator.classes).sum()),
    "same": bool(abs(result[0][0] - probabilities[23]) < 1e-3),
}))
