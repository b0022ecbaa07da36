"""Experiments: each module runs one system on real data and reports its figure as JSON."""
