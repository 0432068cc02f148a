# SPDX-License-Identifier: Apache-2.0
"""Work on whole data sets: conversion into the TSV layout, and inspection of what is in one."""
