"""Statistics of a model on data: the covariance of what enters each layer."""
