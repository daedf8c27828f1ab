"""What Python processes run when they begin that a script on minigrad has started: sitecustomize.py.

A new process knows nothing of what `compat.install` did in the one that started it, and would train with the real
Keras. So `install` puts this folder into PYTHONPATH, which all of them inherit: those of multiprocessing, joblib and
subprocess.
"""
