"""Reviews of films, good or bad: Tokenizer, pad_sequences, Embedding, GlobalAveragePooling1D; then the same with texts."""

import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
from tensorflow.keras.layers import Dense, Embedding, GlobalAveragePooling1D, Input, TextVectorization
from tensorflow.keras.models import Sequential
from tensorflow.keras.preprocessing.sequence import pad_sequences
from tensorflow.keras.preprocessing.text import Tokenizer

vocab_size = 60
embedding_dim = 8
max_length = 12
trunc_type = "post"
oov_tok = "<OOV>"

rng = np.random.RandomState(42)
good = ["great", "wonderful", "moving", "funny", "brilliant", "loved", "masterpiece", "warm", "clever", "superb"]
bad = ["boring", "awful", "dull", "terrible", "hated", "waste", "weak", "stupid", "mess", "poor"]
filler = ["the", "a", "film", "movie", "plot", "actor", "was", "is", "and", "of", "it", "this", "scene", "with", "really"]


def review(is_good):
    words = list(rng.choice(filler, rng.randint(3, 15))) + list(rng.choice(good if is_good else bad, rng.randint(1, 4)))
    rng.shuffle(words)
    return " ".join(words).capitalize() + rng.choice([".", "!", " ...", "?<br />"])


labels = rng.randint(0, 2, 400)
sentences = [review(label) for label in labels]
training_sentences, testing_sentences = sentences[:300], sentences[300:]
training_labels, testing_labels = np.array(labels[:300]), np.array(labels[300:])

tokenizer = Tokenizer(num_words=vocab_size, oov_token=oov_tok)
tokenizer.fit_on_texts(training_sentences)
word_index = tokenizer.word_index
sequences = tokenizer.texts_to_sequences(training_sentences)
padded = pad_sequences(sequences, maxlen=max_length, truncating=trunc_type)
testing_padded = pad_sequences(tokenizer.texts_to_sequences(testing_sentences), maxlen=max_length, padding="post")
reverse_word_index = {value: key for key, value in word_index.items()}


def decode_review(text):
    return " ".join([reverse_word_index.get(i, "?") for i in text])


def network(*first):
    model = Sequential([
        *first,
        Embedding(vocab_size, embedding_dim, mask_zero=True),
        GlobalAveragePooling1D(),
        Dense(6, activation="relu"),
        Dense(1, activation="sigmoid"),
    ])
    start = np.random.RandomState(0)
    model.build((None, max_length))
    model.set_weights([start.normal(0, 0.3, w.shape) for w in model.get_weights()])
    model.compile(loss="binary_crossentropy", optimizer=tf.keras.optimizers.SGD(0.5, momentum=0.9), metrics=["accuracy"])
    return model


model = network()
history = model.fit(
    padded, training_labels, epochs=6, shuffle=False, verbose=0, validation_data=(testing_padded, testing_labels)
)
samples = ["A wonderful, moving film!", "boring plot, unknownword acting"]
proba = model.predict(pad_sequences(tokenizer.texts_to_sequences(samples), maxlen=max_length), verbose=0)

# A vocabulary that the model learns by itself, and texts that go into it.
vectorize_layer = TextVectorization(max_tokens=vocab_size, output_sequence_length=max_length, standardize="lower")
vectorize_layer.adapt(training_sentences)
texts = tf.data.Dataset.from_tensor_slices((training_sentences, training_labels)).batch(32)
vectors = texts.map(lambda text, label: (vectorize_layer(text), label)).cache().prefetch(tf.data.AUTOTUNE)
second = network()
second_history = second.fit(vectors, epochs=3, shuffle=False, verbose=0)
whole = Sequential([Input(shape=(1,), dtype=tf.string), vectorize_layer, second])
whole.compile(loss="binary_crossentropy", metrics=["accuracy"])

print(json.dumps({
    "words": list(word_index)[:10],
    "decoded": decode_review(padded[1]),
    "matrix": tokenizer.texts_to_matrix(samples, mode="tfidf").sum(axis=1).tolist(),
    "loss": history.history["loss"],
    "val_loss": history.history["val_loss"],
    "accuracy": history.history["accuracy"],
    "proba": proba.tolist(),
    "vocabulary": [str(word) for word in vectorize_layer.get_vocabulary()[:12]],
    "second": second_history.history["loss"],
    "whole": whole.evaluate(texts, verbose=0)[0],
    "answers": whole.predict(tf.constant([[sample] for sample in samples]), verbose=0).tolist(),
}))
