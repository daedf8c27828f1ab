"""A customer comes to an app: churn.py has left model.h5 and what the columns are prepared with."""

import json
import pickle

import pandas as pd
from tensorflow.keras.models import load_model

model = load_model("model.h5")
prepared = []
for name in ("gender", "geo", "scaler"):
    with open(f"{name}.pkl", "rb") as file:
        prepared.append(pickle.load(file))
gender, geo, scaler = prepared
customer = pd.DataFrame([{"CreditScore": 600, "Gender": gender.transform(["Male"])[0], "Age": 60, "Balance": 60000.0, "NumOfProducts": 2}])
places = pd.DataFrame(geo.transform(pd.DataFrame({"Geography": ["France"]})).toarray(), columns=geo.get_feature_names_out(["Geography"]))
prediction = model.predict(scaler.transform(pd.concat([customer, places], axis=1)), verbose=0)
print(json.dumps({"prediction": float(prediction[0][0])}))
