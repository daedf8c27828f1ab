"""tqdm.keras: progress bars of epochs and of batches."""

import io

import keras
import numpy as np
from tqdm.keras import TqdmCallback

x = np.random.default_rng(0).normal(size=(64, 4))
for verbose in (0, 1, 2):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    text = io.StringIO()
    callback = TqdmCallback(verbose=verbose, data_size=64, batch_size=16, file=text)
    model.fit(x, x[:, 0], epochs=3, batch_size=16, verbose=0, callbacks=[callback])
    assert "3/3" in text.getvalue() and "mae=" in text.getvalue(), text.getvalue()
    assert callback.epoch_bar.n == 3
print("done")
