"""Micro-expressions with known truth, made from pictures of faces; sample clips."""
