"""Writes scripts.json: the figures that the scripts of tests/scripts/ print under the real Keras on TensorFlow (3.15; tf_keras 2.21).

    python tests/golden/make_scripts.py [names of scripts]
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import script_runs

figures = json.loads(script_runs.GOLDEN.read_text()) if script_runs.GOLDEN.exists() else {}
for name in sys.argv[1:] or script_runs.SCRIPTS:
    with tempfile.TemporaryDirectory() as folder:
        figures[name] = script_runs.run_keras(name, folder)
    print(name, figures[name])
script_runs.GOLDEN.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n")
