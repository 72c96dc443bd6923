# SPDX-License-Identifier: MIT
"""A package that has sub-packages and data of its own."""

NAME = "practice arena"
