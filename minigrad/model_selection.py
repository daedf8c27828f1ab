"""scikit-learn's searches and cross-validation of networks: in threads, with a seed per fit and one progress bar.

    from minigrad.model_selection import GridSearchCV    # instead of: from sklearn.model_selection import GridSearchCV

They take and return what scikit-learn's own do, for any estimator: `keras.wrappers`, pipelines, others.
"""

import contextlib
import functools
import itertools
import threading

from minigrad.checks import extra
from minigrad.many import first_seed, own_world, workers
from minigrad.parallel import in_turn, side_by_side
from minigrad.utils import Progbar

with extra("minigrad.model_selection needs scikit-learn", "scikit-learn"):
    import joblib
    from joblib.parallel import SequentialBackend, ThreadingBackend
    from sklearn import model_selection
    from sklearn.base import is_classifier

__all__ = ["GridSearchCV", "RandomizedSearchCV", "cross_val_predict", "cross_val_score", "cross_validate", "in_threads"]


class _Threads(ThreadingBackend):
    """Threads for joblib, which is what scikit-learn leaves its fits to. Each task has a world of its own."""

    def __init__(self, count, seed, bar):
        super().__init__()
        self.count, self.seeds, self.bar = count, itertools.count(seed), bar
        self.lock, self.turn = threading.Lock(), threading.Lock()
        self.done = 0  # of the tasks that the bar is about

    def effective_n_jobs(self, n_jobs):
        return max(2, self.count)  # of a single one, joblib runs the tasks itself

    def configure(self, n_jobs=1, parallel=None, **options):
        self.parallel, self._n_jobs = parallel, self.count
        return self.effective_n_jobs(n_jobs)

    def submit(self, function, callback=None):
        return super().submit(functools.partial(self._task, function, next(self.seeds)), callback)

    def apply_async(self, function, callback=None):  # what submit was called before joblib 1.5
        return super().apply_async(functools.partial(self._task, function, next(self.seeds)), callback)

    def _task(self, function, seed):
        try:
            with in_turn(self.turn), own_world(seed):
                return function()
        finally:
            with self.lock:
                if self.done != self.bar.target:  # after a search, the best estimator may have tasks of its own
                    self.done += 1
                    self.bar.add(1)

    def get_nested_backend(self):
        return SequentialBackend(nesting_level=1), None


@contextlib.contextmanager
def in_threads(n_jobs=-1, seed=None, verbose=0, total=None):
    """Inside, whatever scikit-learn (or joblib) does in parallel is done by threads of this process.

    Each task trains on one thread, and has random numbers and automatic names of its own. The results do not depend on
    the number of threads. It is for what has no twin in this module:

    >>> with in_threads(seed=0):
    ...     search = HalvingGridSearchCV(estimator, grid).fit(x, y)

    Args:
        n_jobs: the number of threads, -1 (or None) for one per core; it takes the place of the estimator's own.
        seed: that of the first task; the next ones have seed + 1, seed + 2, ... None draws it from the global
            generator, which `utils.set_random_seed` seeds.
        verbose: 1 shows a progress bar, with `total` tasks if that is known.
    """
    count, bar = workers(n_jobs), Progbar(total, verbose=int(verbose > 0), stateless_metrics=(), unit_name="fit")
    backend = _Threads(count, first_seed(seed), bar)
    with side_by_side() if count > 1 else contextlib.nullcontext(), joblib.parallel_config(backend, n_jobs=count):
        try:
            yield backend
        finally:
            bar.close()


class _Search:
    """A search of scikit-learn's in threads: n_jobs=None means one per core. Fit number i begins with `seed_` + i."""

    def fit(self, X, y=None, **params):
        """Run fit with all sets of parameters: scikit-learn's own method, which see."""
        self.seed_ = first_seed(None)
        cv = model_selection.check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits, run_search = cv.get_n_splits(X, y, params.get("groups")), self._run_search

        @functools.wraps(run_search)  # from whose signature scikit-learn learns what it takes
        def counting(evaluate_candidates, **context):
            def counted(candidates, *args, **kwargs):
                candidates = list(candidates)
                threads.bar.target += len(candidates) * splits
                return evaluate_candidates(candidates, *args, **kwargs)

            run_search(counted, **context)

        with in_threads(self.n_jobs, self.seed_, self.verbose, 0) as threads:
            self._run_search = counting
            try:
                return super().fit(X, y, **params)
            finally:
                del self._run_search


class GridSearchCV(_Search, model_selection.GridSearchCV):
    __doc__ = f"{_Search.__doc__}\n\n    {model_selection.GridSearchCV.__doc__}"


class RandomizedSearchCV(_Search, model_selection.RandomizedSearchCV):
    __doc__ = f"{_Search.__doc__}\n\n    {model_selection.RandomizedSearchCV.__doc__}"


def _threaded(function):
    @functools.wraps(function)
    def call(*args, n_jobs=None, verbose=0, **kwargs):
        with in_threads(n_jobs, verbose=verbose):
            return function(*args, **kwargs)

    return call


cross_validate = _threaded(model_selection.cross_validate)
cross_val_score = _threaded(model_selection.cross_val_score)
cross_val_predict = _threaded(model_selection.cross_val_predict)
