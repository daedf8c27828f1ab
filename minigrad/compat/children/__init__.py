"""Holds sitecustomize.py, which the child processes of a script on minigrad run when they begin.

A new process does not have what `compat.install` did in its parent, and would train with the real Keras. So `install`
adds this folder to PYTHONPATH, which all child processes inherit: those of multiprocessing, joblib and subprocess.
"""
