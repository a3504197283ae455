"""Fits run on one thread: results of an SVD differ between one thread and two, and small ones are faster on one."""

from threadpoolctl import threadpool_limits


def one_thread() -> threadpool_limits:
    """Context in which numpy and scipy keep to one thread."""
    return threadpool_limits(limits=1)
